// The filters of the traffic log, which statistics, rankings and the live log
// share. Their names in the address are the API's own.
import { useMemo } from "preact/hooks"
import { usePlace } from "../router"

export interface FilterField {
  name: string
  label: string
  hint: string
  live: boolean // can be set on a stream
}

export const fields: FilterField[] = [
  { name: "src", label: "Source", hint: "address or CIDR", live: true },
  { name: "dst", label: "Destination", hint: "address or CIDR", live: true },
  { name: "port", label: "Port", hint: "443 or 8000-8080", live: true },
  { name: "proto", label: "Protocol", hint: "tcp, udp, icmp", live: true },
  { name: "app", label: "Application", hint: "tls", live: true },
  { name: "geo", label: "Country", hint: "DE", live: true },
  { name: "threat", label: "Threat", hint: "name", live: true },
  { name: "rule_id", label: "Rule", hint: "its number", live: true },
  { name: "event", label: "Event", hint: "open, update, close, refused", live: true },
]

const names = ["action", "q", ...fields.map((f) => f.name)]
export const actions = ["accept", "drop", "reject"]
export const periods = ["1h", "24h", "7d", "30d"] as const

// filterOf keeps the filters of a query, lists joined by commas as the API
// takes them.
export function filterOf(query: URLSearchParams, device: string): URLSearchParams {
  const out = new URLSearchParams()
  for (const n of names) {
    const values = query.getAll(n).flatMap((v) => (n === "q" ? [v] : v.split(","))).filter(Boolean)
    if (values.length) out.set(n, values.join(","))
  }
  if (device) out.set("device_id", device)
  return out
}

export function useFilter(device: string): URLSearchParams {
  const { query } = usePlace()
  const text = filterOf(query, device).toString()
  return useMemo(() => new URLSearchParams(text), [text])
}

// active lists what is set, value by value.
export function active(query: URLSearchParams): { name: string; label: string; value: string; rest: string[] }[] {
  return ["q", ...fields.map((f) => f.name)].flatMap((name) => {
    const values = query.getAll(name).flatMap((v) => (name === "q" ? [v] : v.split(","))).filter(Boolean)
    const label = fields.find((f) => f.name === name)?.label ?? "Text"
    return values.map((value) => ({ name, label, value, rest: values.filter((v) => v !== value) }))
  })
}

// liveFilter is the filter as the live stream's frame has it.
export function liveFilter(filter: URLSearchParams): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {}
  for (const [k, v] of filter) out[k] = k === "q" || k === "device_id" ? v : v.split(",")
  return out
}
