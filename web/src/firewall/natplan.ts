import type { NATRule, NATRuleWrite } from "../api/schema"
import type { Plan } from "./change"

export type NatRule = NATRule
export type NatDraft = NATRuleWrite

// plain leaves out what is empty and what the router counts.
export function plain(r: NatRule | NatDraft): NatDraft {
  const { id: _id, packets: _packets, bytes: _bytes, before: _before, ...rest } = r
  return Object.fromEntries(Object.entries(rest).filter(([, v]) => v !== "" && v !== undefined && v !== null))
}

function create(r: NatDraft): Plan {
  return { title: `Create the translation “${r.name}”`, change: { op: "create", resource: "nat", body: plain(r) }, undo: (a) => remove(a as NatRule) }
}

function update(old: NatRule, r: NatDraft): Plan {
  return { title: `Change the translation “${r.name}”`, change: { op: "update", resource: "nat", id: old.id, body: plain(r) }, undo: () => update({ ...old, ...r } as NatRule, plain(old)) }
}

function remove(r: NatRule): Plan {
  return { title: `Delete the translation “${r.name}”`, change: { op: "delete", resource: "nat", id: r.id }, undo: () => create(plain(r)) }
}

export const natPlans = { create, update, remove }
