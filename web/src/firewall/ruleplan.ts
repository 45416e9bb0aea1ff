// The changes of rules, with what takes each back.
import type { FirewallRule, FirewallRuleWrite } from "../api/schema"
import { withQuery } from "../router"
import type { Plan } from "./change"

// body is a rule as a write has it: without what the router counts.
export function body(r: FirewallRule | FirewallRuleWrite): FirewallRuleWrite {
  const { id: _id, hits: _hits, hit_bytes: _bytes, last_hit: _last, before: _before, ...rest } = r
  return rest
}

const watch = (id: number) => withQuery("/live", new URLSearchParams(), { rule_id: String(id) })

function create(rule: FirewallRuleWrite, before?: number): Plan {
  return {
    title: `Create the rule “${rule.name}”`,
    change: { op: "create", resource: "rule", body: before ? { ...body(rule), before } : body(rule) },
    undo: (a) => remove(a as FirewallRule, []),
    watch: (a) => watch((a as FirewallRule).id),
  }
}

function update(old: FirewallRule, rule: FirewallRuleWrite): Plan {
  const switched = JSON.stringify(body({ ...old, enabled: rule.enabled })) === JSON.stringify(body(rule))
  return {
    title: `${switched ? (rule.enabled ? "Enable" : "Disable") : "Change"} the rule “${rule.name}”`,
    change: { op: "update", resource: "rule", id: old.id, body: body(rule) },
    undo: () => update({ ...old, ...rule } as FirewallRule, old),
    watch: () => watch(old.id),
  }
}

// remove takes back by making the rule anew before the one that followed it: its
// number is another then, as numbers are never used again.
function remove(rule: FirewallRule, all: FirewallRule[]): Plan {
  const next = all[all.findIndex((r) => r.id === rule.id) + 1]
  return {
    title: `Delete the rule “${rule.name}”`,
    change: { op: "delete", resource: "rule", id: rule.id },
    undo: () => create(rule, next && all.some((r) => r.id === rule.id) ? next.id : undefined),
  }
}

function reorder(rules: FirewallRule[], ids: number[]): Plan {
  return {
    title: "Change the order of the rules",
    change: { op: "reorder", resource: "rule", body: { rule_ids: ids } },
    undo: () => reorder(ids.map((id) => rules.find((r) => r.id === id)!), rules.map((r) => r.id)),
  }
}

export const plans = { create, update, remove, reorder }
