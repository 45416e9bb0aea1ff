// How a row of the log reads.
import type { LogEntry } from "../api/schema"

export function endpoint(ip: string, port: number): string {
  if (!port) return ip
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`
}

// decidedBy names the rule, or what decided where none did.
export function decidedBy(r: LogEntry): string {
  if (r.rule_id !== undefined && r.rule_id !== null) return `${r.rule_name ?? "rule"} #${r.rule_id}`
  switch (r.reason) {
    case "policy":
      return `policy ${r.zone_from} → ${r.zone_to}`
    case "default":
      return "default"
    default:
      return r.reason.replace(/^system:/, "system: ").replaceAll("_", " ")
  }
}
