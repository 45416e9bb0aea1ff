import { check, fetches, look, step, until } from "./browser.mjs"

const dialog = (page) => page.getByRole("dialog").last()
const enforced = (page) => page.getByText(/enforces it, \d/).waitFor()

export async function run(page) {
  await step("shaping: the uplinks' rates, with what is wrong first", page, async () => {
    await page.getByRole("link", { name: "Shaping" }).click()
    await page.getByText("No classes").waitFor()
    await page.getByLabel("Shape the uplinks").check()
    await page.getByRole("button", { name: "Save" }).click()
    await page.locator(".field-error").first().waitFor()
    await page.getByLabel("Download (Mbit/s)").fill("100")
    await page.getByLabel("Upload (Mbit/s)").fill("20")
    await page.keyboard.press("Enter")
    await enforced(page)
  })

  await step("shaping: a class, whose packets are counted", page, async () => {
    await page.getByRole("button", { name: "New class" }).click()
    const d = dialog(page)
    await d.getByLabel("Name").fill("web")
    await d.getByLabel("Guaranteed (Mbit/s)").fill("2")
    await d.getByLabel("Applications").fill("http, nothing")
    await page.keyboard.press("Enter")
    await d.getByText(/Entry 2: there is no application "nothing"/).waitFor()
    await d.getByLabel("Applications").fill("http")
    await page.keyboard.press("Enter")
    await d.waitFor({ state: "detached" })
    const row = page.getByRole("row").filter({ hasText: "web #" })
    await until("packets of the class", async () => (await fetches("lan1"), !/\b0 packets/.test((await row.textContent()) ?? "") && /packets/.test((await row.textContent()) ?? "")))
    check(/2 Mbit\/s/.test(await row.textContent()), await row.textContent())
  })

  await step("shaping: a device is limited, and all is taken back", page, async () => {
    await page.getByRole("button", { name: "New limit" }).focus()
    await page.keyboard.press("Enter")
    const d = dialog(page)
    await d.getByLabel("MAC address").fill("02:00:5e:10:00:01")
    await d.getByLabel("Download (Mbit/s)").fill("8")
    await page.keyboard.press("Enter")
    await d.waitFor({ state: "detached" })
    await page.getByRole("row").filter({ hasText: "02:00:5e:10:00:01" }).getByText("8 Mbit/s").waitFor()
    await enforced(page)
    await look(page, "shaping")
    await page.getByRole("button", { name: "Delete the limit of 02:00:5e:10:00:01" }).click()
    await page.getByText("No device is limited").waitFor()
    await page.getByRole("button", { name: "Delete web" }).click()
    await page.getByText("No classes").waitFor()
    await page.getByLabel("Shape the uplinks").uncheck()
    await page.getByRole("button", { name: "Save" }).click()
    await enforced(page)
  })
}
