import { useState } from "preact/hooks"
import type { QoSDeviceLimit } from "../api/schema"
import { toWrong, type Save } from "../save"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { errorsOf, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { Failure } from "../ui/state"
import { amount } from "./amount"
import { priorities } from "./classform"

const fields = ["mac", "hostname", "download_mbps", "upload_mbps", "priority"]

interface Props {
  of?: QoSDeviceLimit // none: a new one
  mac: string // that a new one begins with
  save: Save
  onClose: () => void
  onDone: () => void
}

export function LimitForm({ of, mac, save, onClose, onDone }: Props) {
  const [d, set] = useState({
    mac: of?.mac ?? mac, hostname: of?.hostname ?? "", down: of?.download_mbps ? String(of.download_mbps) : "", up: of?.upload_mbps ? String(of.upload_mbps) : "",
    priority: of?.priority === undefined ? "" : String(of.priority),
  })
  const [errors, setErrors] = useState<Errors>({})
  const submit = async (e: Event) => {
    e.preventDefault()
    const wrong: Errors = {}
    const address = d.mac.trim().toLowerCase()
    if (!address) wrong.mac = "is empty: name the device by its MAC address"
    const body = {
      hostname: d.hostname.trim() || undefined, download_mbps: amount(d.down, "download_mbps", wrong), upload_mbps: amount(d.up, "upload_mbps", wrong),
      priority: d.priority === "" ? undefined : Number(d.priority),
    }
    setErrors(wrong)
    if (Object.keys(wrong).length) return toWrong()
    if (await save.send({ method: "PUT", path: `/api/qos/device-limits/${encodeURIComponent(address)}`, body }, (e) => (setErrors(errorsOf(e)), toWrong()))) onDone()
  }
  return (
    <Dialog title={of ? `Limit of ${of.mac}` : "New limit"} onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="limit-form" busy={save.busy}>
            {of ? "Save" : "Create"}
          </Button>
        </>
      }>
      <form id="limit-form" class="form" onSubmit={(e) => void submit(e)} noValidate>
        {save.error && <Failure error={save.error} />}
        <Rest errors={errors} known={fields} />
        {!of && <TextField label="MAC address" name="mac" mono value={d.mac} onInput={(mac) => set({ ...d, mac })} errors={errors} autofocus hint="as frames have it at the router; the traffic log shows it" />}
        <div class="pair">
          <TextField label="Download (Mbit/s)" name="download_mbps" value={d.down} onInput={(down) => set({ ...d, down })} errors={errors} autofocus={Boolean(of)} hint="empty: no limit" />
          <TextField label="Upload (Mbit/s)" name="upload_mbps" value={d.up} onInput={(up) => set({ ...d, up })} errors={errors} hint="empty: no limit" />
        </div>
        <div class="pair">
          <SelectField label="Priority" name="priority" value={d.priority} onChange={(priority) => set({ ...d, priority })} options={[["", "as other devices"], ...priorities]} errors={errors} hint="of what no class matches" />
          <TextField label="Name" name="hostname" value={d.hostname} onInput={(hostname) => set({ ...d, hostname })} errors={errors} hint="optional" />
        </div>
      </form>
    </Dialog>
  )
}
