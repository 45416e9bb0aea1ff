import { useState } from "preact/hooks"
import { useResource } from "../api/resource"
import { useFleet } from "../fleet"
import { bytes, count } from "../format"
import { setQuery, usePlace } from "../router"
import { Button, IconButton } from "../ui/button"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { natPlans, type NatRule } from "./natplan"
import { NatForm } from "./natform"
import { NoRouter } from "./rules"
import { usePush } from "./usepush"

export function Nat() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const request = { path: "/api/nat/rules", device: id }
  const rules = useResource<NatRule[]>(id ? request : null, 5000)
  const [kind, setKind] = useState<"dnat" | "other">("dnat")
  const push = usePush(id, () => {
    setQuery({ edit: null }, true)
    rules.reload()
  })
  if (devices.data && !device)
    return (
      <View title="NAT">
        <NoRouter />
      </View>
    )
  const edit = query.get("edit")
  const edited = rules.data?.find((r) => String(r.id) === edit)
  const open = (k: "dnat" | "other") => {
    setKind(k)
    setQuery({ edit: "new" })
  }
  return (
    <View title="NAT" wide curl={request} about="Translation of addresses. Masquerading of a whole zone is set with the zone."
      actions={
        rules.data && (
          <>
            <Button icon="plus" onClick={() => open("other")}>
              New translation
            </Button>
            <Button kind="primary" icon="plus" onClick={() => open("dnat")}>
              New port forward
            </Button>
          </>
        )
      }>
      <Shown of={rules} what="NAT">
        {(list) =>
          list.length === 0 ? (
            <Empty title="No translations">
              <p class="muted">A port forward lets the outside reach a machine inside.</p>
            </Empty>
          ) : (
            <div class="scroll card flush" tabIndex={0} role="region" aria-label="Translations">
              <table class="rules">
                <thead>
                  <tr>
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
                <tbody>
                  {list.map((r) => (
                    <tr key={r.id} class={r.enabled === false ? "off" : ""}>
                      <td>
                        <button type="button" role="switch" class="switch" aria-checked={r.enabled !== false} aria-label={`${r.name} is ${r.enabled === false ? "off" : "on"}`} onClick={() => void push.begin(natPlans.update(r, { ...r, enabled: r.enabled === false }))} />
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
                        <IconButton icon="edit" label={`Edit ${r.name}`} onClick={() => setQuery({ edit: String(r.id) })} />
                        <IconButton icon="trash" label={`Delete ${r.name}`} onClick={() => void push.begin(natPlans.remove(r))} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Shown>
      {edit && rules.data && (edit === "new" || edited) && <NatForm key={edit + kind} rule={edited} kind={kind} push={push} onClose={() => setQuery({ edit: null })} />}
      {push.dialog}
    </View>
  )
}
