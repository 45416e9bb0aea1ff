import { useState } from "preact/hooks"
import { call } from "../api/client"
import { asError, type ApiError } from "../api/failure"
import type { RegisteredDevice } from "../api/schema"
import { Button, LinkButton } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { errorsOf, Rest, TextField } from "../ui/field"
import { Failure } from "../ui/state"
import { copy } from "../ui/toast"

// Register makes a router known. Its key is shown here and never again.
export function Register({ onClose }: { onClose: () => void }) {
  const [form, set] = useState({ name: "", model: "", location: "", tags: "" })
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError>()
  const [made, setMade] = useState<RegisteredDevice>()
  const errors = errorsOf(error)

  const submit = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    const tags = form.tags.split(",").map((t) => t.trim()).filter(Boolean)
    const body = { name: form.name, tags, ...(form.model && { model: form.model }), ...(form.location && { location: form.location }) }
    try {
      setMade(await call<RegisteredDevice>({ method: "POST", path: "/api/fleet/devices", body }))
    } catch (e) {
      setError(asError(e))
    }
    setBusy(false)
  }
  if (made) return <Key of={made} onClose={onClose} />
  return (
    <Dialog title="Register a router" onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="register-form" busy={busy}>
            Register
          </Button>
        </>
      }>
      <form id="register-form" class="form" onSubmit={submit} noValidate>
        {error && !error.fields.length && <Failure error={error} />}
        <Rest errors={errors} known={["name", "model", "location", "tags"]} />
        <TextField label="Name" name="name" value={form.name} onInput={(name) => set({ ...form, name })} errors={errors} autofocus />
        <div class="pair">
          <TextField label="Model" name="model" value={form.model} onInput={(model) => set({ ...form, model })} errors={errors} hint="optional" />
          <TextField label="Location" name="location" value={form.location} onInput={(location) => set({ ...form, location })} errors={errors} hint="optional" />
        </div>
        <TextField label="Tags" name="tags" value={form.tags} onInput={(tags) => set({ ...form, tags })} errors={errors} hint="optional, with commas" />
      </form>
    </Dialog>
  )
}

function Key({ of, onClose }: { of: RegisteredDevice; onClose: () => void }) {
  const command = `printf '%s\\n' '${of.api_key}' | ngfw-agent configure --server '${of.connect_url}' --ca-file ca.pem - && ngfw-agent run`
  return (
    <Dialog title={`${of.name} is registered`} onClose={onClose} size="large"
      footer={
        <>
          <LinkButton href={`/devices/${encodeURIComponent(of.id)}`}>Its page</LinkButton>
          <Button kind="primary" onClick={onClose}>
            I have the key
          </Button>
        </>
      }>
      <div>
        <h3>Its key</h3>
        <p class="muted">It is shown this once: the cloud keeps a hash of it alone.</p>
        <p class="secret">
          <code data-secret="key">{of.api_key}</code>
          <Button icon="copy" onClick={() => void copy(of.api_key, "Key copied")}>
            Copy the key
          </Button>
        </p>
      </div>
      <div>
        <h3>On the router, as root</h3>
        <p class="muted">
          With <code>ca.pem</code> of the cloud's data directory copied beside it; without <code>--ca-file</code> where the cloud has a certificate that the router trusts.
        </p>
        <p class="secret">
          <code>{command}</code>
          <Button icon="copy" onClick={() => void copy(command, "Command copied")}>
            Copy the command
          </Button>
        </p>
      </div>
    </Dialog>
  )
}
