import type { Plan } from "./change"

export interface NatRule {
  id: number
  name: string
  enabled?: boolean
  nat_type: string
  protocol?: string
  source?: string
  source_port?: string
  destination?: string
  destination_port?: string
  translate_to?: string
  translate_port?: string
  interface?: string
  hairpin?: boolean
  log?: boolean
  packets?: number
  bytes?: number
}

export type NatDraft = Omit<NatRule, "id" | "packets" | "bytes">

// plain leaves out what is empty and what the router counts.
export function plain(r: NatRule | NatDraft): NatDraft {
  const { id: _id, packets: _packets, bytes: _bytes, ...rest } = r as NatRule
  return Object.fromEntries(Object.entries(rest).filter(([, v]) => v !== "" && v !== undefined && v !== null)) as unknown as NatDraft
}

function create(r: NatDraft): Plan {
  return { title: `Create the translation “${r.name}”`, change: { op: "create", resource: "nat", body: plain(r) }, undo: (a) => remove(a as NatRule) }
}

function update(old: NatRule, r: NatDraft): Plan {
  return { title: `Change the translation “${r.name}”`, change: { op: "update", resource: "nat", id: old.id, body: plain(r) }, undo: () => update({ ...old, ...r }, plain(old)) }
}

function remove(r: NatRule): Plan {
  return { title: `Delete the translation “${r.name}”`, change: { op: "delete", resource: "nat", id: r.id }, undo: () => create(plain(r)) }
}

export const natPlans = { create, update, remove }
