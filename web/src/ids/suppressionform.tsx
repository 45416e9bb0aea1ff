import { useState } from "preact/hooks"
import type { IDSSuppressionWrite } from "../api/schema"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { errorsOf, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { Failure } from "../ui/state"
import { toWrong, type Save } from "../save"

export const tracks: Record<string, string> = { "": "all of them", by_src: "those from", by_dst: "those to", by_either: "those from or to" }

interface Props {
  save: Save
  start: IDSSuppressionWrite
  signature?: string
  onClose: () => void
  onDone: () => void
}

// SuppressionForm is empty, or begins with what an alert says.
export function SuppressionForm({ save, start, signature, onClose, onDone }: Props) {
  const [s, set] = useState({ sid: start.sid ? String(start.sid) : "", track: start.track ?? "", ip: start.ip ?? "", reason: start.reason ?? "" })
  const [errors, setErrors] = useState<Errors>({})
  const submit = async (e: Event) => {
    e.preventDefault()
    setErrors({})
    const body = { sid: /^\d+$/.test(s.sid.trim()) ? Number(s.sid) : 0, gid: start.gid, track: s.track || undefined, ip: s.track ? s.ip.trim() : undefined, reason: s.reason.trim() || undefined }
    if (await save.send({ method: "POST", path: "/api/ids/suppressions", body }, (e) => (setErrors(errorsOf(e)), toWrong()))) onDone()
  }
  return (
    <Dialog title="New suppression" onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="suppression-form" busy={save.busy}>
            Suppress
          </Button>
        </>
      }>
      <form id="suppression-form" class="form" onSubmit={(e) => void submit(e)} noValidate>
        {save.error && <Failure error={save.error} />}
        <Rest errors={errors} known={["sid", "track", "ip", "reason"]} />
        <TextField label="Signature (sid)" name="sid" mono value={s.sid} onInput={(sid) => set({ ...s, sid })} errors={errors} autofocus={!start.sid} hint={signature} />
        <div class="pair">
          <SelectField label="Alerts" name="track" value={s.track} onChange={(track) => set({ ...s, track })} errors={errors} options={Object.entries(tracks)} />
          {s.track && <TextField label="Address or CIDR" name="ip" mono value={s.ip} onInput={(ip) => set({ ...s, ip })} errors={errors} />}
        </div>
        <TextField label="Reason" name="reason" value={s.reason} onInput={(reason) => set({ ...s, reason })} errors={errors} autofocus={Boolean(start.sid)} hint="for whoever asks later why there is no alert" />
        <p class="muted">The alerts are not told any more. A rule that drops goes on dropping.</p>
      </form>
    </Dialog>
  )
}
