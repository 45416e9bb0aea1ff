// A change of the policy as it is planned: what is asked about it, what makes
// it, and what takes it back.
import type { Request } from "../api/client"
import type { ActionChange, Packet, PacketBox } from "../api/schema"

export interface Change {
  op: "create" | "update" | "delete" | "reorder"
  resource: "rule" | "policy" | "zone" | "group" | "nat"
  id?: number
  body?: unknown
}

export interface Plan {
  title: string // Create the rule “no web”
  change: Change
  undo?: (answer: unknown) => Plan // what the write answered
  watch?: (answer: unknown) => string // where its effect shows
}

const paths: Record<Change["resource"], string> = {
  rule: "/api/firewall/rules",
  policy: "/api/firewall/policies",
  zone: "/api/firewall/zones",
  group: "/api/firewall/groups",
  nat: "/api/nat/rules",
}

// write is the request that makes a change.
export function write(c: Change, device: string): Request {
  const path = paths[c.resource]
  switch (c.op) {
    case "create":
      return { method: "POST", path, body: c.body, device }
    case "reorder":
      return { method: "PUT", path: `${path}/order`, body: c.body, device }
    case "delete":
      return { method: "DELETE", path: `${path}/${c.id}`, device }
    case "update":
      return { method: "PUT", path: c.resource === "policy" ? path : `${path}/${c.id}`, body: c.body, device }
  }
}

const everywhere = new Set(["0.0.0.0/0", "::/0", "any", ""])

// boxText reads a box as a sentence.
export function boxText(b: PacketBox): string {
  const what = b.protocol === "all" ? "all protocols" : b.protocol
  const port = b.port && b.port !== "*" ? ` port ${b.port}` : ""
  const icmp = b.icmp_types ? ` type ${b.icmp_types}` : ""
  const family = b.source.includes(":") || b.destination.includes(":") ? " (IPv6)" : everywhere.has(b.source) && everywhere.has(b.destination) && b.source !== "any" ? " (IPv4)" : ""
  const from = everywhere.has(b.source) ? "any address" : b.source
  const to = everywhere.has(b.destination) ? "any address" : b.destination
  return `${what}${port}${icmp} from ${from} to ${to}${family}`
}

export function zonesText(b: PacketBox): string {
  const was = (now: string, before?: string) => (before ? `${now} (was ${before})` : now)
  return `${was(b.zone_from, b.was_zone_from)} → ${was(b.zone_to, b.was_zone_to)}`
}

export function packetText(p: Packet | undefined): string {
  if (!p) return ""
  const end = (ip: string, port?: number) => (port === undefined ? ip : ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`)
  const icmp = p.icmp_type === undefined ? "" : ` type ${p.icmp_type}`
  return `${p.protocol}${icmp} ${end(p.src, p.sport)} → ${end(p.dst, p.dport)}${p.in ? ` (${p.in} → ${p.out ?? "?"})` : ""}`
}

export function decider(c: ActionChange, side: "from" | "to"): string {
  const id = side === "from" ? c.from_rule_id : c.to_rule_id
  return id ? `rule #${id}` : "the zones' policy"
}
