import { useState } from "preact/hooks"
import type { IDSConfig } from "../api/schema"
import { Button } from "../ui/button"
import { Check, errorsOf, Field, Rest, TextField, type Errors } from "../ui/field"
import { Segmented } from "../ui/segmented"
import { lines, toWrong, useSave } from "../save"
import { Sources } from "./sources"

// A form's state is texts, as they are being typed.
function draft(c: IDSConfig) {
  return {
    enabled: c.enabled, mode: c.mode ?? "detect", fail_open: c.fail_open !== false, sources: c.sources,
    home_networks: c.home_networks.join("\n"), external_networks: c.external_networks.join("\n"), excluded_networks: c.excluded_networks.join("\n"),
    interfaces: c.interfaces.join(", "), variables: Object.entries(c.variables).map(([k, v]) => `${k} = ${v}`).join("\n"),
    hours: String((c.update_interval ?? 86400) / 3600), alert_threshold: String(c.alert_threshold),
  }
}

type Draft = ReturnType<typeof draft>

// read makes the request; it names what is not even readable.
function read(d: Draft): { body?: object; errors: Errors } {
  const errors: Errors = {}
  const variables: Record<string, string> = {}
  for (const line of d.variables.split("\n").filter((l) => l.trim())) {
    const [, name, value] = line.match(/^\s*\$?([^\s=]+)\s*=\s*(.+?)\s*$/) ?? []
    if (!name) errors.variables = `“${line.trim()}” is not of the form NAME = value`
    else variables[name] = value
  }
  const hours = Number(d.hours)
  const threshold = Number(d.alert_threshold || 0)
  if (!d.hours.trim() || !Number.isFinite(hours)) errors.update_interval = "must be a number of hours"
  if (!Number.isInteger(threshold)) errors.alert_threshold = "must be a whole number"
  if (Object.keys(errors).length) return { errors }
  return {
    errors,
    body: {
      enabled: d.enabled, mode: d.mode, fail_open: d.fail_open, variables, sources: d.sources, interfaces: lines(d.interfaces),
      home_networks: lines(d.home_networks), external_networks: lines(d.external_networks), excluded_networks: lines(d.excluded_networks),
      update_interval: Math.round(hours * 3600), alert_threshold: threshold,
    },
  }
}

const more = ["interfaces", "external_networks", "excluded_networks", "variables", "update_interval", "alert_threshold"]

// config is what was stored last: discarding leads back to it.
export function ConfigForm({ config, device, onSaved }: { config: IDSConfig; device: string; onSaved: () => void }) {
  const [d, set] = useState(() => draft(config))
  const [errors, setErrors] = useState<Errors>({})
  const [open, setOpen] = useState(false)
  const save = useSave(device)
  const change = (c: Partial<Draft>) => set({ ...d, ...c })
  const wrong = (e: Errors) => {
    setErrors(e)
    if (Object.keys(e).some((k) => more.some((m) => k.startsWith(m)))) setOpen(true)
    toWrong()
  }
  const submit = (e: Event) => {
    e.preventDefault()
    setErrors({})
    const r = read(d)
    if (!r.body) return wrong(r.errors)
    void save.send({ method: "PUT", path: "/api/ids/config", body: r.body }, (e) => wrong(errorsOf(e))).then((stored) => stored && onSaved())
  }
  const list = (label: string, name: "home_networks" | "external_networks" | "excluded_networks" | "variables", hint: string) => (
    <Field label={label} name={name} errors={errors} hint={hint}>
      {(a) => <textarea {...a} class="mono" rows={3} value={d[name]} spellcheck={false} onInput={(e) => change({ [name]: e.currentTarget.value })} />}
    </Field>
  )
  return (
    <form class="form settings" onSubmit={submit} noValidate>
      <Rest errors={errors} known={["home_networks", "sources", ...more]} />
      <section class="card stack" aria-label="Inspection">
        <Check label="Inspect traffic" hint="what crosses the router goes past the matcher" checked={d.enabled} onChange={(enabled) => change({ enabled })} />
        <div class="field">
          <span class="label">What becomes of what is found</span>
          <Segmented label="Mode" value={d.mode as "detect" | "prevent"} onChange={(mode) => change({ mode })} options={[{ value: "detect", text: "Detect" }, { value: "prevent", text: "Prevent" }]} />
          <p class="field-hint">{d.mode === "prevent" ? "Traffic is dropped where the rule says drop, or its category prevents." : "Everything passes; what is found is told."}</p>
        </div>
        <Check label="Fail open" hint="packets pass uninspected while the matcher is away or behind; off: they are lost" checked={d.fail_open} onChange={(fail_open) => change({ fail_open })} />
      </section>
      <section class="card stack" aria-label="Networks">
        {list("Home networks", "home_networks", "One on each line, ! in front leaves out; empty: the private ranges")}
      </section>
      <Sources list={d.sources} errors={errors} onChange={(sources) => change({ sources })} />
      <details class="card" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>More</summary>
        <div class="stack">
          <div class="pair">
            {list("External networks", "external_networks", "Empty: what is not home")}
            {list("Never inspected", "excluded_networks", "Whichever side of a flow they are on")}
          </div>
          {list("Variables", "variables", "NAME = value, one on each line: addresses, or ports where the name ends in _PORTS")}
          <TextField label="Interfaces" name="interfaces" mono value={d.interfaces} onInput={(interfaces) => change({ interfaces })} errors={errors} hint="With commas; empty: all" />
          <div class="pair">
            <TextField label="Sources are fetched every (hours)" name="update_interval" value={d.hours} onInput={(hours) => change({ hours })} errors={errors} hint="1 to 168" />
            <TextField label="Alerts a minute" name="alert_threshold" value={d.alert_threshold} onInput={(alert_threshold) => change({ alert_threshold })} errors={errors} hint="of one rule and source address; 0: all" />
          </div>
        </div>
      </details>
      {save.note}
      <p class="actions">
        <Button kind="primary" type="submit" busy={save.busy}>
          Save
        </Button>
        <Button onClick={() => (set(draft(config)), setErrors({}))}>Discard</Button>
      </p>
    </form>
  )
}
