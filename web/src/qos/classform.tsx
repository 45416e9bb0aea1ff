import { useState } from "preact/hooks"
import type { QoSClass } from "../api/schema"
import { toWrong, type Save } from "../save"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { errorsOf, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { Failure } from "../ui/state"
import { amount, parts } from "./amount"

const fields = ["name", "priority", "guaranteed_mbps", "max_mbps", "applications", "dscp_markings", "ports"]

export const priorities: [string, string][] = Array.from({ length: 8 }, (_, i) => [String(i), i === 0 ? "0, served first" : i === 4 ? "4, as what no class matches" : i === 7 ? "7, served last" : String(i)])

interface Props {
  of?: QoSClass // none: a new one
  save: Save
  onClose: () => void
  onDone: () => void
}

export function ClassForm({ of, save, onClose, onDone }: Props) {
  const [d, set] = useState({
    name: of?.name ?? "", priority: String(of?.priority ?? 2), guaranteed: of?.guaranteed_mbps ? String(of.guaranteed_mbps) : "", most: of?.max_mbps ? String(of.max_mbps) : "",
    applications: of?.applications.join(", ") ?? "", dscp: of?.dscp_markings.join(", ") ?? "", ports: of?.ports.join(", ") ?? "",
  })
  const [errors, setErrors] = useState<Errors>({})
  const submit = async (e: Event) => {
    e.preventDefault()
    const wrong: Errors = {}
    const body = {
      name: d.name.trim(), priority: Number(d.priority), guaranteed_mbps: amount(d.guaranteed, "guaranteed_mbps", wrong), max_mbps: amount(d.most, "max_mbps", wrong),
      applications: parts(d.applications), dscp_markings: parts(d.dscp), ports: parts(d.ports),
    }
    setErrors(wrong)
    if (Object.keys(wrong).length) return toWrong()
    const request = of ? { method: "PUT", path: `/api/qos/classes/${of.id}`, body } : { method: "POST", path: "/api/qos/classes", body }
    if (await save.send(request, (e) => (setErrors(errorsOf(e)), toWrong()))) onDone()
  }
  return (
    <Dialog title={of ? `Class “${of.name}”` : "New class"} onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="class-form" busy={save.busy}>
            {of ? "Save" : "Create"}
          </Button>
        </>
      }>
      <form id="class-form" class="form" onSubmit={(e) => void submit(e)} noValidate>
        {save.error && <Failure error={save.error} />}
        <Rest errors={errors} known={fields} />
        <div class="pair">
          <TextField label="Name" name="name" value={d.name} onInput={(name) => set({ ...d, name })} errors={errors} autofocus />
          <SelectField label="Priority" name="priority" value={d.priority} onChange={(priority) => set({ ...d, priority })} options={priorities} errors={errors} />
        </div>
        <div class="pair">
          <TextField label="Guaranteed (Mbit/s)" name="guaranteed_mbps" value={d.guaranteed} onInput={(guaranteed) => set({ ...d, guaranteed })} errors={errors} hint="empty: none" />
          <TextField label="At most (Mbit/s)" name="max_mbps" value={d.most} onInput={(most) => set({ ...d, most })} errors={errors} hint="empty: what the line has" />
        </div>
        <p class="muted">A packet is of the class if any of these is so.</p>
        <TextField label="Applications" name="applications" mono value={d.applications} onInput={(applications) => set({ ...d, applications })} errors={errors} hint="with commas: sip, ssh, bittorrent" />
        <div class="pair">
          <TextField label="Destination ports" name="ports" mono value={d.ports} onInput={(ports) => set({ ...d, ports })} errors={errors} hint="443, 8000-8080, udp/5060" />
          <TextField label="DSCP" name="dscp_markings" mono value={d.dscp} onInput={(dscp) => set({ ...d, dscp })} errors={errors} hint="EF, AF41, 0 to 63" />
        </div>
      </form>
    </Dialog>
  )
}
