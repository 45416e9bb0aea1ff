import { bytes, count } from "../format"
import { IconButton } from "../ui/button"
import type { NatRule } from "./natplan"
import { useMoves } from "./order"

interface Props {
  list: NatRule[]
  drafted: boolean
  onOrder: (ids: number[]) => void
  onEdit: (r: NatRule) => void
  onToggle: (r: NatRule) => void
  onDelete: (r: NatRule) => void
}

export function NatTable({ list, drafted, onOrder, onEdit, onToggle, onDelete }: Props) {
  const moves = useMoves(list, onOrder)
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Translations in their order">
      {moves.told}
      <table class={drafted ? "rules drafted" : "rules"}>
        <thead>
          <tr>
            <th scope="col">
              <span class="hidden">Move</span>#
            </th>
            <th scope="col">On</th>
            <th scope="col">Name</th>
            <th scope="col">Type</th>
            <th scope="col">Matches</th>
            <th scope="col">Becomes</th>
            <th scope="col" class="num">
              Packets
            </th>
            <th scope="col">
              <span class="hidden">Change</span>
            </th>
          </tr>
        </thead>
        <tbody ref={moves.body}>
          {list.map((r, i) => (
            <tr key={r.id} {...moves.row(r, i)} class={`${r.enabled === false ? "off" : ""} ${moves.row(r, i).class}`}>
              <td class="place">
                {moves.grip(r, i)}
                {i + 1}
              </td>
              <td>
                <button type="button" role="switch" class="switch" aria-checked={r.enabled !== false} aria-label={`${r.name} is ${r.enabled === false ? "off" : "on"}`} onClick={() => onToggle(r)} />
              </td>
              <td>
                {r.name} <small class="muted">#{r.id}</small>
              </td>
              <td>{r.nat_type}</td>
              <td>
                {r.protocol} <span class="mono">{[r.source && r.source !== "any" ? `from ${r.source}` : "", r.destination && r.destination !== "any" ? `to ${r.destination}` : "", r.destination_port ? `port ${r.destination_port}` : ""].filter(Boolean).join(" ")}</span>
                {r.interface && <small class="under">{r.interface}</small>}
              </td>
              <td class="mono">
                {r.translate_to}
                {r.translate_port ? ` port ${r.translate_port}` : ""}
              </td>
              <td class="num">
                <span title={bytes(r.bytes ?? 0)}>{count(r.packets ?? 0)}</span>
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
