import { useRef, useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { IDSCategory } from "../api/schema"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Check, errorsOf, Field, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { Failure } from "../ui/state"
import type { ApiError } from "../api/failure"
import { place } from "./place"
import { toWrong, type Save } from "../save"

const example = `alert http any any -> any any (msg:"…"; flow:established,to_server; http.uri; content:"/…"; sid:1000001; rev:1;)`

export function OwnRuleForm({ device, save, onClose, onDone }: { device: string; save: Save; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("")
  const [rule, setRule] = useState("")
  const [category, setCategory] = useState("")
  const [enabled, setEnabled] = useState(true)
  const [errors, setErrors] = useState<Errors>({})
  const area = useRef<HTMLTextAreaElement>(null)
  const categories = useResource<IDSCategory[]>({ path: "/api/ids/categories", device })
  const wrong = errors.rule ? place(rule, errors.rule) : undefined

  const submit = async (e: Event) => {
    e.preventDefault()
    setErrors({})
    // The places that the parser names are of the text without its margins.
    const text = rule.trim()
    setRule(text)
    const refused = (e: ApiError) => {
      const found = errorsOf(e)
      setErrors(found)
      const at = found.rule ? place(text, found.rule) : undefined
      if (!at) return toWrong()
      requestAnimationFrame(() => {
        area.current?.focus()
        area.current?.setSelectionRange(at.offset, Math.min(at.offset + at.length, text.length))
      })
    }
    if (await save.send({ method: "POST", path: "/api/ids/rules", body: { name: name.trim() || undefined, rule: text, category: category || undefined, enabled } }, refused)) onDone()
  }
  return (
    <Dialog title="New rule of your own" size="large" onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="own-rule-form" busy={save.busy}>
            Save
          </Button>
        </>
      }>
      <form id="own-rule-form" class="form" onSubmit={(e) => void submit(e)} noValidate>
        {save.error && <Failure error={save.error} />}
        <Rest errors={errors} known={["name", "rule", "category"]} />
        <Field label="Rule" name="rule" errors={errors} hint="One rule, in Suricata's language; a line that ends in \ goes on">
          {(a) => <textarea {...a} ref={area} class="mono" rows={7} autofocus placeholder={example} value={rule} spellcheck={false} onInput={(e) => setRule(e.currentTarget.value)} />}
        </Field>
        {wrong && (
          <pre class="caret" tabIndex={0} role="region" aria-label={`Line ${wrong.line}, column ${wrong.column}`}>
            {wrong.before}
            <mark>{wrong.marked}</mark>
            {wrong.after}
          </pre>
        )}
        <div class="pair">
          <TextField label="Name" name="name" value={name} onInput={setName} errors={errors} hint="empty: the rule's msg" />
          <SelectField label="Category" name="category" value={category} onChange={setCategory} errors={errors} options={[["", "by its classtype"], ...(categories.data ?? []).map((c): [string, string] => [c.id, c.name])]} />
        </div>
        <Check label="Enabled" checked={enabled} onChange={setEnabled} />
      </form>
    </Dialog>
  )
}
