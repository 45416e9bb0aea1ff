import { useState } from "preact/hooks"
import { call } from "../api/client"
import { asError, type ApiError } from "../api/failure"
import type { Device } from "../api/schema"
import { toWrong } from "../save"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { errorsOf, Field, Rest, SelectField, TextField } from "../ui/field"
import { Failure } from "../ui/state"

export const modes: [string, string][] = [
  ["takeover", "takeover: enforces what is configured here"],
  ["shadow", "shadow: checks it and says what would change, applies nothing"],
  ["observe", "observe: reports, applies nothing"],
]

const fields = ["name", "location", "tags", "notes", "mode", "time_zone"]

// Edit changes what is known of a router, and how it takes its configuration.
export function Edit({ of, onClose, onDone }: { of: Device; onClose: () => void; onDone: () => void }) {
  const [d, set] = useState({ name: of.name, location: of.location ?? "", tags: of.tags.join(", "), notes: of.notes ?? "", mode: of.mode, time_zone: of.time_zone })
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError>()
  const errors = errorsOf(error, "device")
  const submit = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    const body = { ...d, tags: d.tags.split(",").map((t) => t.trim()).filter(Boolean) }
    try {
      await call<Device>({ method: "PUT", path: `/api/fleet/devices/${encodeURIComponent(of.id)}`, body })
      onDone()
    } catch (e) {
      setError(asError(e))
      setBusy(false)
      toWrong()
    }
  }
  return (
    <Dialog title={`Edit ${of.name}`} onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="device-form" busy={busy}>
            Save
          </Button>
        </>
      }>
      <form id="device-form" class="form" onSubmit={(e) => void submit(e)} noValidate>
        {error && !error.fields.length && <Failure error={error} />}
        <Rest errors={errors} known={fields} />
        <div class="pair">
          <TextField label="Name" name="name" value={d.name} onInput={(name) => set({ ...d, name })} errors={errors} autofocus />
          <TextField label="Location" name="location" value={d.location} onInput={(location) => set({ ...d, location })} errors={errors} />
        </div>
        <TextField label="Tags" name="tags" value={d.tags} onInput={(tags) => set({ ...d, tags })} errors={errors} hint="with commas" />
        <SelectField label="Mode" name="mode" value={d.mode} onChange={(mode) => set({ ...d, mode })} options={modes} errors={errors} />
        <TextField label="Its time zone" name="time_zone" value={d.time_zone} onInput={(time_zone) => set({ ...d, time_zone })} errors={errors} hint="Schedules of rules go by it: Europe/Berlin, UTC" />
        <Field label="Notes" name="notes" errors={errors}>
          {(a) => <textarea {...a} rows={3} value={d.notes} onInput={(e) => set({ ...d, notes: e.currentTarget.value })} />}
        </Field>
      </form>
    </Dialog>
  )
}
