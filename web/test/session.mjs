import { base, check, look, owner, step } from "./browser.mjs"

export async function login(page) {
  await step("the log-in page names what is wrong", page, async () => {
    await page.goto(base + "/log?action=drop")
    await page.getByLabel("E-mail address").fill(owner.email)
    await page.getByLabel("Password").fill("not it")
    await page.keyboard.press("Enter")
    await page.getByRole("alert").getByText("wrong e-mail address or password").waitFor()
    await look(page, "login")
  })
  await step("log-in by keyboard leads to the address that was asked for", page, async () => {
    await page.getByLabel("E-mail address").focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Control+a")
    await page.keyboard.type(owner.password)
    await page.keyboard.press("Enter")
    await page.getByRole("heading", { level: 1, name: "Log" }).waitFor()
    check(page.url().endsWith("/log?action=drop"), `at ${page.url()}`)
  })
  await step("the session survives a reload, and no script can read its cookie", page, async () => {
    await page.reload()
    await page.getByRole("heading", { level: 1, name: "Log" }).waitFor()
    const cookies = await page.context().cookies(base + "/api/auth/refresh")
    const c = cookies.find((c) => c.name === "ngfw_refresh")
    check(c?.httpOnly && c.sameSite === "Strict" && c.path === "/api/auth", JSON.stringify(cookies))
    const seen = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]))
    check(!seen.includes("ngfw_refresh") && !seen.includes("eyJ"), seen)
  })
}

export async function end(page) {
  await step("log-out ends the session, also for a reload", page, async () => {
    await page.getByRole("button", { name: "Log out" }).click()
    await page.getByRole("button", { name: "Log in" }).waitFor()
    await page.reload()
    await page.getByRole("button", { name: "Log in" }).waitFor()
    check((await page.context().cookies()).every((c) => c.name !== "ngfw_refresh"), "the cookie is still there")
  })
}
