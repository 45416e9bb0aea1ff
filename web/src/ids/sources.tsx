import { useRef } from "preact/hooks"
import type { IDSSource } from "../api/schema"
import { Button, IconButton } from "../ui/button"
import { Check, SelectField, TextField, type Errors } from "../ui/field"

interface Props {
  list: IDSSource[]
  errors: Errors
  onChange: (list: IDSSource[]) => void
}

// Sources are the rule sets that are loaded, each of a URL or of a file on the
// router.
export function Sources({ list, errors, onChange }: Props) {
  const change = (i: number, c: Partial<IDSSource>) => onChange(list.map((s, n) => (n === i ? { ...s, ...c } : s)))
  const box = useRef<HTMLElement>(null)
  const add = () => {
    onChange([...list, { name: "", url: "" }])
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>("fieldset:last-of-type input")?.focus())
  }
  return (
    <section ref={box} class="card stack" aria-label="Sources of rules">
      <header class="card-head">
        <h2>Sources of rules</h2>
        <Button icon="plus" onClick={add}>
          Add a source
        </Button>
      </header>
      {list.length === 0 && <p class="muted">None: your own rules alone are matched.</p>}
      {errors.sources && <p class="field-error">{errors.sources}</p>}
      {list.map((s, i) => {
        const at = `sources[${i}].`
        const kind = s.file === undefined ? "url" : "file"
        // The server says of the URL that there is neither of the two.
        const own: Errors = { ...errors, [at + kind]: errors[at + kind] ?? errors[at + "url"] }
        return (
          <fieldset key={i} class="source">
            <legend>{s.name || `Source ${i + 1}`}</legend>
            <div class="source-fields">
              <TextField label="Name" name={at + "name"} value={s.name} onInput={(name) => change(i, { name })} errors={own} />
              <SelectField label="Kind" name={at + "kind"} value={kind} options={[["url", "URL"], ["file", "file"]]}
                onChange={(k) => change(i, k === "file" ? { file: s.url ?? "", url: undefined } : { url: s.file ?? "", file: undefined })} />
              <TextField label={kind === "url" ? "Address" : "Path on the router"} name={at + kind} mono value={(kind === "url" ? s.url : s.file) ?? ""} onInput={(v) => change(i, { [kind]: v })} errors={own} />
            </div>
            <TextField label="SHA-256" name={at + "sha256"} mono value={s.sha256 ?? ""} onInput={(v) => change(i, { sha256: v.trim() || undefined })} errors={own} hint="optional: another content is not loaded" />
            <div class="source-foot">
              <Check label="Enabled" checked={s.enabled !== false} onChange={(enabled) => change(i, { enabled })} />
              <IconButton icon="trash" label={`Remove the source ${s.name || i + 1}`} onClick={() => onChange(list.filter((_, n) => n !== i))} />
            </div>
          </fieldset>
        )
      })}
    </section>
  )
}
