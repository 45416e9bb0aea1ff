// What the live log costs the browser: rows at a fixed rate out of a server that
// does nothing else, into the dashboard as it is shipped. Prints figures as JSON;
// as a program it takes the rows per second and the seconds.
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { chromium } from "playwright-core"

const dist = fileURLToPath(new URL("../dist", import.meta.url))
const types = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html" }

let number = 0
const row = () => ({
  id: `r${++number}`, flow_id: `f${number}`, device_id: "d", event: "open", timestamp: Date.now() / 1000, action: number % 5 ? "accept" : "drop", interface: "lan1",
  zone_from: "LAN", zone_to: "WAN", protocol: number % 3 ? "tcp" : "udp", source_ip: `10.77.${number % 250}.10`, source_port: 1024 + (number % 60000),
  destination_ip: `203.0.113.${number % 250}`, destination_port: 443, policy_revision: 4, bytes: 60 + (number % 900), packets: 1, bytes_sent: 60, bytes_received: 0, count: 1, reason: "policy",
})

// text is a WebSocket frame with one message (RFC 6455, section 5.2).
function text(message) {
  const data = Buffer.from(message)
  const head = data.length < 126 ? Buffer.from([0x81, data.length]) : Buffer.from([0x81, 126, data.length >> 8, data.length & 255])
  return Buffer.concat([head, data])
}

function serve(rate) {
  const answers = {
    "/api/auth/login": { access_token: "a", token_type: "Bearer", expires_in: 3600, refresh_token: "" },
    "/api/stream/ticket": { ticket: "t", expires_in: 60 },
    "/api/fleet/devices": [],
  }
  const sent = { bytes: 0 }
  const server = createServer((req, res) => {
    const path = req.url.split("?")[0]
    if (path in answers) return res.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answers[path]))
    let file = join(dist, path)
    if (!extname(path)) file = join(dist, "index.html")
    const packed = gzipSync(readFileSync(file), { level: 9 })
    sent.bytes += packed.length
    res.writeHead(200, { "Content-Type": types[extname(file)] ?? "application/octet-stream", "Content-Encoding": "gzip" }).end(packed)
  })
  server.on("upgrade", (req, socket) => {
    const accept = createHash("sha1").update(req.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64")
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
    const write = (n) => {
      for (; n > 0; n--) socket.write(text(JSON.stringify({ type: "log", cursor: randomBytes(8).toString("hex"), data: row() })))
    }
    write(server.prefill)
    // In time with the clock, not with the timer, which is late under load.
    const began = Date.now()
    let done = 0
    const timer = setInterval(() => {
      const due = Math.floor(((Date.now() - began) * rate) / 1000) - done
      done += due
      write(due)
    }, 10)
    socket.on("close", () => clearInterval(timer)).on("error", () => clearInterval(timer))
  })
  return { server, sent }
}

export async function measure({ rate = 1000, seconds = 10, prefill = 100_000 } = {}) {
  const { server, sent } = serve(rate)
  server.prefill = prefill
  await new Promise((r) => server.listen(0, "127.0.0.1", r))
  const base = `http://127.0.0.1:${server.address().port}`
  const browser = await chromium.launch({ executablePath: process.env.NGFW_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] })
  try {
    const page = await browser.newPage({ viewport: { width: 1360, height: 900 } })
    await page.goto(base + "/live")
    await page.getByRole("button", { name: "Log in" }).waitFor()
    const firstLoad = sent.bytes
    const interactive = await page.evaluate(() => performance.getEntriesByType("paint").find((e) => e.name === "first-contentful-paint")?.startTime ?? 0)
    await page.getByLabel("E-mail address").fill("e@example.org")
    await page.getByLabel("Password").fill("p")
    await page.keyboard.press("Enter")
    await page.waitForFunction((n) => Number(document.querySelector(".live-status")?.textContent?.match(/([\d,]+) rows kept/)?.[1].replaceAll(",", "") ?? 0) >= n, Math.min(prefill, 100_000), { timeout: 120_000 })
    const frames = await page.evaluate(async (seconds) => {
      const out = []
      const long = []
      new PerformanceObserver((l) => long.push(...l.getEntries().map((e) => e.duration))).observe({ entryTypes: ["longtask"] })
      let last = performance.now()
      const end = last + seconds * 1000
      while (last < end) {
        const now = await new Promise(requestAnimationFrame)
        out.push(now - last)
        last = now
      }
      return { out, long, nodes: document.querySelectorAll("*").length }
    }, seconds)
    const sorted = frames.out.toSorted((a, b) => a - b)
    const kept = await page.locator(".live-status").textContent()
    return {
      first_load_bytes: firstLoad, first_paint_ms: Math.round(interactive), frames: sorted.length, median_ms: sorted[sorted.length >> 1], p99_ms: sorted[Math.floor(sorted.length * 0.99)],
      longest_ms: sorted.at(-1), over_50_ms: sorted.filter((f) => f > 50).length, longest_task_ms: Math.max(0, ...frames.long), elements: frames.nodes, kept,
    }
  } finally {
    await browser.close()
    server.closeAllConnections()
    server.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await measure({ rate: Number(process.argv[2] ?? 1000), seconds: Number(process.argv[3] ?? 10) })))
}
