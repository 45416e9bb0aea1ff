import { readFileSync } from "node:fs"
import { base, check, fetches, look, step, until } from "./browser.mjs"

export async function run(page) {
  await step("overview", page, async () => {
    await page.getByRole("link", { name: "Overview" }).click()
    await page.getByRole("heading", { level: 1, name: "Traffic" }).waitFor()
    await page.getByRole("heading", { name: "Clients" }).waitFor()
    await page.getByText("Threats blocked").waitFor()
    await page.getByRole("link", { name: /10\.77\.1\.10/ }).first().click()
    await page.waitForURL(/src=10\.77\.1\.10/)
    await page.getByRole("button", { name: "Remove the filter Source 10.77.1.10" }).click()
    await page.waitForURL((u) => !u.search.includes("src"))
    await look(page, "overview")
  })

  await step("log: a filter by mouse, its link back, a row by keyboard", page, async () => {
    await page.goto(base + "/log")
    await page.getByRole("button", { name: "accept", exact: true }).click()
    await page.waitForURL(/action=accept/)
    await page.getByRole("row").nth(3).waitFor()
    check((await page.locator("tbody .badge:not(.accept)").count()) === 0, "rows of another action")
    await page.goBack()
    await page.waitForURL(/\/log$/)
    await look(page, "log")
    await page.getByRole("button", { name: /: details$/ }).first().focus()
    await page.keyboard.press("Enter")
    await page.getByRole("dialog").getByText("Policy revision").waitFor()
    await look(page, "row")
    const at = page.url()
    check(/row=/.test(at), `the row is not in ${at}`)
    await page.keyboard.press("Escape")
    await page.getByRole("dialog").waitFor({ state: "detached" })
  })

  await step("log: pages along the cursor repeat no row", page, async () => {
    await page.goto(base + "/log")
    await page.locator("tbody tr").first().waitFor()
    const ids = () => page.locator("tbody tr").evaluateAll((rows) => rows.map((r) => r.dataset.row))
    const first = await ids()
    await page.getByRole("link", { name: "Older" }).click()
    await page.waitForURL(/cursor=/)
    await until("another page", async () => ![undefined, first[0]].includes((await ids())[0]))
    const second = await ids()
    check(second.length > 0 && !second.some((r) => first.includes(r)), "a row came twice")
  })

  await step("log: exported as a file, with the filters that are set", page, async () => {
    await page.goto(base + "/log?src=10.77.1.10&period=1h")
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByLabel("Export these rows").selectOption("csv")])
    const text = readFileSync(await file.path(), "utf8")
    const lines = text.trim().split(/\r?\n/)
    check(file.suggestedFilename().endsWith(".csv") && lines[0].startsWith("id,flow_id,") && lines.length > 1, text.slice(0, 200))
    check(lines.slice(1).every((l) => l.includes("10.77.1.10")), "a row that the filter does not let through")
  })

  await step("every view can be copied as a command", page, async () => {
    await page.getByRole("button", { name: "Copy as curl" }).click()
    const text = await page.evaluate(() => navigator.clipboard.readText())
    check(text.startsWith(`curl -sS -H "Authorization: Bearer $NGFW_TOKEN" '${base}/api/traffic/logs?`) && !text.includes("eyJ"), text)
  })

  await step("live: rows come, stand still while paused, and follow a filter", page, async () => {
    await page.getByRole("link", { name: "Live", exact: true }).click()
    await fetches("lan1")
    const rows = page.locator(".live-row")
    await rows.first().waitFor()
    await look(page, "live")
    await page.getByRole("button", { name: "Pause" }).focus()
    await page.keyboard.press("Enter")
    const text = await rows.first().textContent()
    await fetches("lan1")
    await page.getByText(/new since the pause/).waitFor()
    check((await rows.first().textContent()) === text, "rows moved while paused")
    await page.getByRole("button", { name: "Go on" }).click()
    await page.getByRole("button", { name: "accept", exact: true }).click()
    // As slowly as people type, while rows come.
    await page.getByRole("searchbox").pressSequentially("10.77.1.10", { delay: 60 })
    await page.keyboard.press("Enter")
    await page.waitForURL(/q=10\.77\.1\.10/)
    await fetches("lan1")
    await until("a row of lan1", async () => (await rows.count()) > 0)
    check((await rows.evaluateAll((all) => all.every((r) => r.textContent.includes("10.77.1.10") && r.textContent.includes("accept")))), "a row that the filter does not let through")
  })

  await step("narrow: the views are behind a button", page, async () => {
    await page.setViewportSize({ width: 390, height: 844 })
    await page.goto(base + "/")
    await page.getByRole("heading", { name: "Clients" }).waitFor()
    check((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390, "the page is wider than the screen")
    await look(page, "narrow")
    await page.getByRole("button", { name: "Views" }).click()
    await page.getByRole("link", { name: "Log" }).click()
    await page.getByRole("heading", { level: 1, name: "Log" }).waitFor()
    await page.setViewportSize({ width: 1360, height: 900 })
  })
}
