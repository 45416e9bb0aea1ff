import { useRef } from "preact/hooks"
import type { QoSClass } from "../api/schema"
import { bitRate, bytes, count } from "../format"
import { setQuery, usePlace } from "../router"
import type { Save } from "../save"
import { Button, IconButton } from "../ui/button"
import { ClassForm } from "./classform"
import { mbps } from "./amount"

interface Props {
  list: QoSClass[]
  save: Save
  at: number // when list was told, milliseconds
  off: boolean
  reload: () => void
}

export function Classes({ list, save, at, off, reload }: Props) {
  const { query } = usePlace()
  const rates = useRates(list, at)
  const edit = query.get("class")
  const edited = list.find((c) => String(c.id) === edit)
  const close = () => setQuery({ class: null })
  const remove = async (c: QoSClass) => {
    if (await save.send({ method: "DELETE", path: `/api/qos/classes/${c.id}` })) reload()
  }
  return (
    <section class="card flush" aria-labelledby="classes">
      <div class="card-head table-title">
        <h2 id="classes">Classes</h2>
        <Button icon="plus" onClick={() => setQuery({ class: "new" })}>
          New class
        </Button>
      </div>
      {list.length === 0 ? (
        <p class="muted table-none">No classes: all traffic shares the uplinks alike. A class puts some of it first, or keeps it within bounds.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of classes">
          <table>
            <thead>
              <tr>
                <th scope="col" class="num">Priority</th>
                <th scope="col">Name</th>
                <th scope="col">Matches any of</th>
                <th scope="col" class="num">Guaranteed</th>
                <th scope="col" class="num">At most</th>
                <th scope="col" class="num">Now</th>
                <th scope="col" class="num">Passed</th>
                <th scope="col" class="num">Lost packets</th>
                <th scope="col" class="num">Waiting</th>
                <th scope="col">
                  <span class="hidden">Change</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((c) => (
                <tr key={c.id}>
                  <td class="num">{c.priority ?? 0}</td>
                  <td>
                    <strong>{c.name}</strong> <small class="muted">#{c.id}</small>
                  </td>
                  <td class="mono members">{matches(c) || <span class="muted">nothing</span>}</td>
                  <td class="num nowrap">{mbps(c.guaranteed_mbps) || <span class="muted">none</span>}</td>
                  <td class="num nowrap">{mbps(c.max_mbps) || <span class="muted">the line</span>}</td>
                  <td class="num nowrap">{!off && c.stats && rates[c.id] !== undefined ? bitRate(rates[c.id]) : <span class="muted">–</span>}</td>
                  <td class="num nowrap">
                    {c.stats ? bytes(c.stats.bytes) : <span class="muted">unknown</span>}
                    {c.stats && <small class="under">{count(c.stats.packets)} packets</small>}
                  </td>
                  <td class="num">{c.stats ? count(c.stats.dropped) : ""}</td>
                  <td class="num nowrap">{c.stats ? bytes(c.stats.backlog) : ""}</td>
                  <td class="row-actions">
                    <IconButton icon="edit" label={`Edit ${c.name}`} onClick={() => setQuery({ class: String(c.id) })} />
                    <IconButton icon="trash" label={`Delete ${c.name}`} disabled={save.busy} onClick={() => void remove(c)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {edit && (edit === "new" || edited) && <ClassForm key={edit} of={edited} save={save} onClose={close} onDone={() => (setQuery({ class: null }, true), reload())} />}
    </section>
  )
}

const matches = (c: QoSClass): string =>
  [c.applications.join(", "), c.dscp_markings.length ? `DSCP ${c.dscp_markings.join(", ")}` : "", c.ports.length ? `port ${c.ports.join(", ")}` : ""].filter(Boolean).join("; ")

// useRates makes bits a second out of counts that are told time and again.
function useRates(list: QoSClass[], at: number): Record<number, number> {
  const kept = useRef({ at: 0, bytes: {} as Record<number, number>, rates: {} as Record<number, number> })
  const k = kept.current
  if (at > k.at) {
    const rates: Record<number, number> = {}
    const now: Record<number, number> = {}
    for (const c of list) {
      if (!c.stats) continue
      now[c.id] = c.stats.bytes
      const before = k.bytes[c.id]
      // A count that began anew has no rate.
      if (before !== undefined && c.stats.bytes >= before) rates[c.id] = ((c.stats.bytes - before) * 8000) / (at - k.at)
    }
    kept.current = { at, bytes: now, rates }
  }
  return kept.current.rates
}
