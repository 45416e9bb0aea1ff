// How figures and times read. Times are shown in the zone that the reader chose
// and that the bar above names.
import { useEffect, useState } from "preact/hooks"

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"]
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return `${i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}

// bitRate takes bits a second, as lines are sold.
export function bitRate(n: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return `${i === 0 || n >= 100 ? Math.round(n) : String(Math.round(n * 10) / 10)} ${units[i]}`
}

const whole = new Intl.NumberFormat("en")

export const count = (n: number): string => whole.format(n)

// some is a number of things.
export const some = (n: number, one: string, many = one + "s"): string => `${whole.format(n)} ${n === 1 ? one : many}`

// brief is for axes and tight places.
export function brief(n: number): string {
  if (n < 1000) return String(Math.round(n * 10) / 10)
  const units = ["", "k", "M", "G", "T"]
  let i = 0
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000
    i++
  }
  return `${n >= 100 ? Math.round(n) : n.toFixed(1).replace(/\.0$/, "")}${units[i]}`
}

export function span(seconds: number): string {
  const s = Math.round(seconds)
  if (s < 90) return `${s} s`
  if (s < 5400) return `${Math.round(s / 60)} min`
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`
  return `${Math.round(s / 86400)} d`
}

const key = "ngfw.zone"
let chosen = localStorage.getItem(key) === "UTC" ? "UTC" : "local"
const listeners = new Set<() => void>()
const formats = new Map<string, Intl.DateTimeFormat>()

export const zoneName = (): string => (chosen === "UTC" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone)

export function chooseZone(zone: "UTC" | "local") {
  chosen = zone
  localStorage.setItem(key, zone)
  formats.clear()
  for (const l of listeners) l()
}

// useZone makes a view follow the choice.
export function useZone(): "UTC" | "local" {
  const [, set] = useState(0)
  useEffect(() => {
    const changed = () => set((n) => n + 1)
    listeners.add(changed)
    return () => void listeners.delete(changed)
  }, [])
  return chosen as "UTC" | "local"
}

function format(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let f = formats.get(name)
  if (!f) {
    f = new Intl.DateTimeFormat("en-GB", { ...options, timeZone: chosen === "UTC" ? "UTC" : undefined })
    formats.set(name, f)
  }
  return f
}

const hms = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const

// clock takes Unix seconds: the time of day, to the millisecond where asked.
export function clock(t: number, millis = false): string {
  const text = format("clock", hms).format(t * 1000)
  return millis ? `${text}.${String(Math.floor((t * 1000) % 1000)).padStart(3, "0")}` : text
}

export const dateTime = (t: number): string =>
  format("full", { year: "numeric", month: "short", day: "2-digit", ...hms }).format(t * 1000)

export function ago(t: number, now = Date.now() / 1000): string {
  const s = Math.max(0, now - t)
  return s < 2 ? "now" : `${span(s)} ago`
}
