import { useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { InterfaceStatus, Zone } from "../api/schema"
import { useFleet } from "../fleet"
import { setQuery, usePlace } from "../router"
import { Button, IconButton } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Check, errorsOf, Rest, TextField, type Errors } from "../ui/field"
import { Shown } from "../ui/state"
import { View } from "../ui/view"
import type { Plan } from "./change"
import { NoRouter } from "./rules"
import { usePush, type Push } from "./usepush"

type Draft = Omit<Zone, "id">

const plain = ({ name, interfaces, masquerade, mss_clamping }: Draft): Draft => ({ name, interfaces, masquerade, mss_clamping })
const builtIn = new Set(["WAN", "LAN", "GUEST", "IOT", "DMZ", "VPN", "SELF"])

function create(z: Draft): Plan {
  return { title: `Create the zone ${z.name}`, change: { op: "create", resource: "zone", body: plain(z) }, undo: (a) => remove(a as Zone) }
}

function update(old: Zone, z: Draft): Plan {
  return { title: `Change the zone ${z.name}`, change: { op: "update", resource: "zone", id: old.id, body: plain(z) }, undo: () => update({ ...old, ...z }, plain(old)) }
}

function remove(z: Zone): Plan {
  return { title: `Delete the zone ${z.name}`, change: { op: "delete", resource: "zone", id: z.id }, undo: () => create(plain(z)) }
}

export function Zones() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const request = { path: "/api/firewall/zones", device: id }
  const zones = useResource<Zone[]>(id ? request : null)
  const ports = useResource<InterfaceStatus[]>(id ? { path: "/api/system/interfaces", device: id } : null, 10_000)
  const push = usePush(id, () => {
    setQuery({ edit: null }, true)
    zones.reload()
  })
  if (devices.data && !device)
    return (
      <View title="Zones">
        <NoRouter />
      </View>
    )
  const edit = query.get("edit")
  const edited = zones.data?.find((z) => String(z.id) === edit)
  const free = ports.data?.filter((p) => !zones.data?.some((z) => z.interfaces.includes(p.name))).map((p) => p.name) ?? []
  const state = (name: string) => ports.data?.find((p) => p.name === name)?.status
  return (
    <View title="Zones" curl={request} about="Which interfaces belong together. An interface in no zone passes nothing."
      actions={
        <Button kind="primary" icon="plus" onClick={() => setQuery({ edit: "new" })}>
          New zone
        </Button>
      }>
      <Shown of={zones} what="zones">
        {(list) => (
          <div class="scroll card flush" tabIndex={0} role="region" aria-label="Zones">
            <table>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Interfaces</th>
                  <th scope="col">Translation</th>
                  <th scope="col">
                    <span class="hidden">Change</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {list.map((z) => (
                  <tr key={z.id}>
                    <td>
                      <strong>{z.name}</strong>
                    </td>
                    <td class="mono">
                      {z.name === "SELF" ? <span class="muted">the router itself</span> : z.interfaces.length ? z.interfaces.map((n) => n + (state(n) && state(n) !== "up" ? ` (${state(n)})` : "")).join(", ") : <span class="muted">none</span>}
                    </td>
                    <td>{[z.masquerade && "masquerade", z.mss_clamping && "MSS clamping"].filter(Boolean).join(", ") || <span class="muted">none</span>}</td>
                    <td class="row-actions">
                      {z.name !== "SELF" && <IconButton icon="edit" label={`Edit ${z.name}`} onClick={() => setQuery({ edit: String(z.id) })} />}
                      {!builtIn.has(z.name) && <IconButton icon="trash" label={`Delete ${z.name}`} onClick={() => void push.begin(remove(z))} />}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Shown>
      {free.length > 0 && (
        <p class="muted under-table">
          In no zone, and so closed: <span class="mono">{free.join(", ")}</span>
        </p>
      )}
      {edit && zones.data && (edit === "new" || edited) && <ZoneForm key={edit} zone={edited} push={push} free={free} />}
      {push.dialog}
    </View>
  )
}

function ZoneForm({ zone, push, free }: { zone?: Zone; push: Push; free: string[] }) {
  const [z, set] = useState<Draft>(zone ? plain(zone) : { name: "", interfaces: [], masquerade: false, mss_clamping: false })
  const [text, setText] = useState(z.interfaces.join(", "))
  const [errors, setErrors] = useState<Errors>({})
  const close = () => setQuery({ edit: null })
  const submit = (e: Event) => {
    e.preventDefault()
    setErrors({})
    const draft = { ...z, interfaces: text.split(/[\s,]+/).filter(Boolean) }
    void push.begin(zone ? update(zone, draft) : create(draft), (e) => setErrors(errorsOf(e, "change.body", "change")))
  }
  return (
    <Dialog title={zone ? `Zone ${zone.name}` : "New zone"} onClose={close}
      footer={
        <>
          <Button onClick={close}>Cancel</Button>
          <Button kind="primary" type="submit" form="zone-form" busy={push.busy}>
            Review the change
          </Button>
        </>
      }>
      <form id="zone-form" class="form" onSubmit={submit} noValidate>
        <Rest errors={errors} known={["name", "interfaces"]} />
        <TextField label="Name" name="name" value={z.name} onInput={(name) => set({ ...z, name })} errors={errors} autofocus={!zone} />
        <TextField label="Interfaces" name="interfaces" mono value={text} onInput={setText} errors={errors} autofocus={Boolean(zone)} hint={free.length ? `In no zone: ${free.join(", ")}` : "Names, with commas; one that does not exist yet joins when it appears"} />
        <Check label="Masquerade" hint="what leaves by this zone gets the router's IPv4 address" checked={z.masquerade} onChange={(masquerade) => set({ ...z, masquerade })} />
        <Check label="MSS clamping" hint="for tunnels and PPPoE" checked={z.mss_clamping} onChange={(mss_clamping) => set({ ...z, mss_clamping })} />
      </form>
    </Dialog>
  )
}
