import type { Finding, FirewallRule } from "../api/schema"
import { ago, bytes, count } from "../format"
import { Action } from "../ui/badge"
import { IconButton } from "../ui/button"
import { findingText } from "./finding"
import { useMoves } from "./order"

interface Props {
  rules: FirewallRule[]
  findings: Finding[]
  drafted: boolean
  onOrder: (ids: number[]) => void
  onEdit: (r: FirewallRule) => void
  onToggle: (r: FirewallRule) => void
  onDelete: (r: FirewallRule) => void
}

export function RuleTable({ rules, findings, drafted, onOrder, onEdit, onToggle, onDelete }: Props) {
  const moves = useMoves(rules, onOrder)

  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Rules in their order">
      {moves.told}
      <table class={drafted ? "rules drafted" : "rules"}>
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">Move</span>#
            </th>
            <th scope="col">On</th>
            <th scope="col">Name</th>
            <th scope="col">Zones</th>
            <th scope="col">Matches</th>
            <th scope="col">Action</th>
            <th scope="col" class="num">
              Hits
            </th>
            <th scope="col">
              <span class="hidden">Change</span>
            </th>
          </tr>
        </thead>
        <tbody ref={moves.body}>
          {rules.map((r, i) => (
            <tr key={r.id} {...moves.row(r, i)} class={`${r.enabled === false ? "off" : ""} ${moves.row(r, i).class}`}>
              <td class="place">
                {moves.grip(r, i)}
                {i + 1}
              </td>
              <td>
                <button type="button" role="switch" class="switch" aria-checked={r.enabled !== false} aria-label={`${r.name} is ${r.enabled === false ? "off" : "on"}`} onClick={() => onToggle(r)} />
              </td>
              <td class="rule-name">
                <button type="button" class="row-open" onClick={() => onEdit(r)}>
                  {r.name}
                </button>{" "}
                <small class="muted">#{r.id}</small>
                {findings
                  .filter((f) => f.rule_id === r.id)
                  .slice(0, 3)
                  .map((f, n) => (
                    <p key={n} class={`finding ${f.kind}`}>
                      <span class={`badge ${f.kind === "undecided" ? "" : "warn"}`}>{f.kind}</span> {findingText(f, rules)}
                    </p>
                  ))}
              </td>
              <td class="nowrap">
                {r.zone_from} → {r.zone_to}
              </td>
              <td>
                <Matches rule={r} />
              </td>
              <td>
                <Action action={r.action} />
                {r.log && <small class="muted"> logs</small>}
              </td>
              <td class="num">
                <span title={`${bytes(r.hit_bytes)} in all`}>{count(r.hits)}</span>
                <small class="under">{r.last_hit ? ago(r.last_hit) : "never"}</small>
              </td>
              <td class="row-actions">
                <IconButton icon="edit" label={`Edit ${r.name}`} onClick={() => onEdit(r)} />
                <IconButton icon="trash" label={`Delete ${r.name}`} onClick={() => onDelete(r)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Matches({ rule: r }: { rule: FirewallRule }) {
  const parts: string[] = []
  if (r.protocol && r.protocol !== "all") parts.push(r.protocol + (r.port && r.port !== "*" ? ` ${r.port}` : "") + (r.icmp_types.length ? ` ${r.icmp_types.join(", ")}` : ""))
  const source = r.source && r.source !== "any" ? r.source : ""
  const destination = r.destination && r.destination !== "any" ? r.destination : ""
  return (
    <>
      {source && (
        <>
          from <span class="mono">{source}</span>{" "}
        </>
      )}
      {destination && (
        <>
          to <span class="mono">{destination}</span>{" "}
        </>
      )}
      {parts.join(" ") || (!source && !destination ? "everything" : "")}
      {r.schedule?.enabled && (
        <small class="under">
          {r.schedule.start ?? "00:00"} to {r.schedule.end ?? "23:59"}
        </small>
      )}
    </>
  )
}
