import type { NATRule, NATRuleWrite } from "../api/schema"
import type { Plan } from "./change"

export type NatRule = NATRule
export type NatDraft = NATRuleWrite

// plain leaves out what is empty and what the router counts.
export function plain(r: NatRule | NatDraft): NatDraft {
  const { id: _id, packets: _packets, bytes: _bytes, before: _before, ...rest } = r
  return Object.fromEntries(Object.entries(rest).filter(([, v]) => v !== "" && v !== undefined && v !== null))
}

function create(r: NatDraft, before?: number): Plan {
  return { title: `Create the translation “${r.name}”`, change: { op: "create", resource: "nat", body: before ? { ...plain(r), before } : plain(r) }, undo: (a) => remove(a as NatRule, []) }
}

function update(old: NatRule, r: NatDraft): Plan {
  return { title: `Change the translation “${r.name}”`, change: { op: "update", resource: "nat", id: old.id, body: plain(r) }, undo: () => update({ ...old, ...r } as NatRule, plain(old)) }
}

// remove takes back by making it anew before the one that followed it.
function remove(r: NatRule, all: NatRule[]): Plan {
  const at = all.findIndex((x) => x.id === r.id)
  return { title: `Delete the translation “${r.name}”`, change: { op: "delete", resource: "nat", id: r.id }, undo: () => create(plain(r), at < 0 ? undefined : all[at + 1]?.id) }
}

function reorder(rules: NatRule[], ids: number[]): Plan {
  return {
    title: "Change the order of the translations",
    change: { op: "reorder", resource: "nat", body: { rule_ids: ids } },
    undo: () => reorder(ids.map((id) => rules.find((r) => r.id === id)!), rules.map((r) => r.id)),
  }
}

export const natPlans = { create, update, remove, reorder }
