import { useEffect, useMemo, useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { ApiError } from "../api/failure"
import type { Zone, ZonePolicy } from "../api/schema"
import { useFleet } from "../fleet"
import { Button } from "../ui/button"
import { Shown } from "../ui/state"
import { View } from "../ui/view"
import type { Plan } from "./change"
import { NoRouter } from "./rules"
import { usePush } from "./usepush"

// The policies as a matrix: what passes from a zone to a zone where no rule
// decides. A pair without its own follows a wider one.
export function Policies() {
  const { device, devices } = useFleet()
  const id = device?.id ?? ""
  const request = { path: "/api/firewall/policies", device: id }
  const stored = useResource<ZonePolicy[]>(id ? request : null)
  const zones = useResource<Zone[]>(id ? { path: "/api/firewall/zones", device: id } : null)
  const [draft, setDraft] = useState<ZonePolicy[]>()
  const [wrong, setWrong] = useState<ApiError>()
  const push = usePush(id, () => {
    setDraft(undefined)
    stored.reload()
  })
  useEffect(() => setDraft(undefined), [id])
  if (devices.data && !device)
    return (
      <View title="Policies">
        <NoRouter />
      </View>
    )
  const list = draft ?? stored.data
  const review = () => {
    setWrong(undefined)
    void push.begin(plan(stored.data!, draft!), setWrong)
  }
  return (
    <View title="Policies" curl={request} about="What becomes of packets from one zone to another where no rule decides. Dashed pairs follow a wider one.">
      {draft && (
        <div class="draft-bar" role="status">
          <span>Changed here, not on the router.</span>
          <Button onClick={() => setDraft(undefined)}>Discard</Button>
          <Button kind="primary" busy={push.busy} onClick={review}>
            Review the change
          </Button>
        </div>
      )}
      {wrong && (
        <ul class="field-error" role="alert">
          {wrong.fields.map((f) => (
            <li key={f.field}>
              <code>{f.field}</code>: {f.message}
            </li>
          ))}
        </ul>
      )}
      <Shown of={stored} what="policies">
        {(was) => <Shown of={zones} what="zones">{(z) => <Matrix zones={z} list={list ?? was} was={was} onChange={setDraft} />}</Shown>}
      </Shown>
      {push.dialog}
    </View>
  )
}

function plan(before: ZonePolicy[], after: ZonePolicy[]): Plan {
  return { title: "Change the policies", change: { op: "update", resource: "policy", body: after }, undo: () => plan(after, before) }
}

interface MatrixProps {
  zones: Zone[]
  list: ZonePolicy[]
  was: ZonePolicy[]
  onChange: (l: ZonePolicy[]) => void
}

function Matrix({ zones, list, was, onChange }: MatrixProps) {
  const names = useMemo(() => [...zones].sort((a, b) => Number(b.interfaces.length > 0) - Number(a.interfaces.length > 0)).map((z) => z.name), [zones])
  const froms = [...names, "any"]
  const tos = [...names, "any"]
  const find = (l: ZonePolicy[], from: string, to: string) => l.find((p) => p.from === from && p.to === to)
  // What decides a pair without its own: from → any, any → to, any → any. any is
  // not the router.
  const wider = (from: string, to: string): string => {
    const found = (to !== "any" && find(list, from, "any")) || (from !== "any" && from !== "SELF" && find(list, "any", to)) || (from !== "SELF" && find(list, "any", "any"))
    return found ? found.action : "drop"
  }
  const set = (from: string, to: string, action: string, log?: boolean) => {
    const i = list.findIndex((p) => p.from === from && p.to === to)
    const next = list.slice()
    if (!action) next.splice(i, 1)
    else if (i < 0) next.push({ from, to, action, log: log ?? false })
    else next[i] = { ...next[i], action, log: log ?? next[i].log }
    onChange(next)
  }
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Policies from zone to zone">
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col">From ↓ to →</th>
            {tos.map((t) => (
              <th scope="col" key={t}>
                {t}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {froms.map((from) => (
            <tr key={from}>
              <th scope="row">{from}</th>
              {tos.map((to) => {
                if (from === "SELF" && to === "SELF") return <td key={to} class="muted">not judged</td>
                const own = find(list, from, to)
                const old = find(was, from, to)
                const changed = own?.action !== old?.action || Boolean(own?.log) !== Boolean(old?.log)
                return (
                  <td key={to} class={changed ? "changed" : ""}>
                    <select class={own ? own.action : "inherits"} aria-label={`From ${from} to ${to}`} value={own?.action ?? ""} onChange={(e) => set(from, to, e.currentTarget.value)}>
                      <option value="">({wider(from, to)})</option>
                      <option value="accept">accept</option>
                      <option value="drop">drop</option>
                      <option value="reject">reject</option>
                    </select>
                    {own && (
                      <label class="cell-log">
                        <input type="checkbox" checked={own.log} onChange={(e) => set(from, to, own.action, e.currentTarget.checked)} aria-label={`Log from ${from} to ${to}`} />
                        log
                      </label>
                    )}
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
