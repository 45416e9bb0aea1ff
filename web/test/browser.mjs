// What every test of the dashboard has: one browser, one page that is logged in,
// named steps, and the errors that a page must not have.
import { execFile } from "node:child_process"
import { mkdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { promisify } from "node:util"
import { chromium } from "playwright-core"

export const base = process.env.NGFW_URL
export const owner = JSON.parse(readFileSync(process.env.NGFW_BOOTSTRAP, "utf8"))
const shots = process.env.NGFW_SCREENSHOTS
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const run = promisify(execFile)

const failures = []
const problems = [] // that a page had

export async function open() {
  mkdirSync(shots, { recursive: true })
  const browser = await chromium.launch({ executablePath: process.env.NGFW_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] })
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, timezoneId: "Europe/Berlin", reducedMotion: "reduce" })
  await context.grantPermissions(["clipboard-read", "clipboard-write"])
  context.setDefaultTimeout(40_000)
  const page = await context.newPage()
  page.on("pageerror", (e) => problems.push(`script: ${e.message}`))
  page.on("console", (m) => {
    // What the server refuses on purpose is the views' to show.
    if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) problems.push(`console: ${m.text()}`)
  })
  return { browser, context, page }
}

export async function step(name, page, f) {
  const began = Date.now()
  try {
    await f()
    if (problems.length) throw new Error(problems.splice(0).join("\n"))
    console.log(`ok    ${name} (${Date.now() - began} ms)`)
  } catch (e) {
    problems.length = 0
    failures.push(name)
    console.log(`FAIL  ${name}: ${e.stack ?? e}`)
    await page.screenshot({ path: join(shots, `failed-${failures.length}.png`) }).catch(() => {})
  }
}

export function end() {
  if (failures.length) {
    console.log(`${failures.length} failed: ${failures.join("; ")}`)
    process.exitCode = 1
  }
}

export function check(condition, what) {
  if (!condition) throw new Error(what)
}

// until waits for a condition about the page or the lab.
export async function until(what, f, limit = 60_000) {
  const end = Date.now() + limit
  for (;;) {
    if (await f()) return
    if (Date.now() > end) throw new Error(`did not come: ${what}`)
    await new Promise((r) => setTimeout(r, 100))
  }
}

// look takes the view as it is, light and dark, and holds it to the rules of
// WCAG 2.2 AA that a program can check.
export async function look(page, name) {
  await until("all that is loading", async () => (await page.locator(".skeleton").count()) === 0)
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme })
    await page.screenshot({ path: join(shots, `${name}-${theme}.png`) })
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe)
    // What differs between the themes is the contrast.
    const rules = theme === "light" ? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] : { type: "rule", values: ["color-contrast"] }
    // Of many rows that are alike the first are looked at.
    const exclude = ["tbody tr:nth-child(n+7)", ".live-row:nth-child(n+7)"]
    const found = await page.evaluate(([runOnly, exclude]) => window.axe.run({ exclude: exclude.map((e) => [e]) }, { runOnly, resultTypes: ["violations"], preload: false, iframes: false }), [rules, exclude])
    const bad = found.violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.slice(0, 4).map((n) => `${n.target} ${n.failureSummary?.split("\n")[1] ?? ""}`).join("\n  ")}`)
    check(bad.length === 0, `${name}, ${theme}: ${bad.join("\n")}`)
  }
  await page.emulateMedia({ colorScheme: "light" })
}

// lab runs a command in a host of the lab; true if it succeeded.
export async function lab(host, ...argv) {
  try {
    await run(process.env.NGFW_LAB, ["exec", "--name", process.env.NGFW_LAB_NAME, host, "--", ...argv])
    return true
  } catch {
    return false
  }
}

const curl = (host, limit, path) => lab(host, "curl", "-sS", "-f", "-m", limit, "-o", "/dev/null", new URL(path, process.env.NGFW_LAB_HTTP).href)

export const fetches = (host, path = "") => curl(host, "5", path)

// blocked is the opposite, told by silence: it need not be waited for long.
export const blocked = async (host) => !(await curl(host, "1", ""))
