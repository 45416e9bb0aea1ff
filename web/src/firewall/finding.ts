import type { Finding, FirewallRule } from "../api/schema"
import { packetText } from "./change"

// findingText says what a check found, with the packet that shows it.
export function findingText(f: Finding, rules: FirewallRule[]): string {
  const other = f.other_id ? `“${rules.find((r) => r.id === f.other_id)?.name ?? "rule"}” #${f.other_id}` : "the zones' policy"
  const shown = f.witness ? `, for example ${packetText(f.witness)}` : ""
  switch (f.kind) {
    case "shadowed":
      return `decides nothing: ${other} comes first${shown}`
    case "redundant":
      return `can go: without it ${other} decides the same${shown}`
    case "conflict":
      return `${other} decides part of it otherwise${shown}`
    case "unreachable":
      return "matches no packet"
  }
  return f.reason ?? ""
}
