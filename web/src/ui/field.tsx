// Form fields with their error where it belongs: errors come as JSON paths, a
// field shows those that are about its own.
import type { ComponentChildren } from "preact"
import { useId } from "preact/hooks"
import type { ApiError } from "../api/failure"

export type Errors = Record<string, string>

// errorsOf takes the fields of a refusal, without the path to the resource.
export function errorsOf(e: ApiError | undefined, ...prefixes: string[]): Errors {
  const out: Errors = {}
  for (const { field, message } of e?.fields ?? []) {
    const prefix = prefixes.find((p) => field.startsWith(p + ".") || field.startsWith(p + "["))
    const path = prefix ? field.slice(prefix.length).replace(/^\./, "") : field
    out[path] ??= message
  }
  return out
}

interface Common {
  label: string
  name: string // the JSON path in the resource
  errors?: Errors
  hint?: ComponentChildren
}

export function Field({ label, name, errors, hint, children }: Common & { children: (a: Record<string, unknown>) => ComponentChildren }) {
  const id = useId()
  const error = errorFor(errors, name)
  const attributes = {
    id,
    name,
    "aria-invalid": error ? "true" : undefined,
    "aria-describedby": [error && `${id}-e`, hint && `${id}-h`].filter(Boolean).join(" ") || undefined,
  }
  return (
    <div class={error ? "field bad" : "field"}>
      <label for={id}>{label}</label>
      {children(attributes)}
      {error && (
        <p class="field-error" id={`${id}-e`}>
          {error}
        </p>
      )}
      {hint && (
        <p class="field-hint" id={`${id}-h`}>
          {hint}
        </p>
      )}
    </div>
  )
}

// errorFor also finds what is wrong with a member of a list field.
function errorFor(errors: Errors | undefined, name: string): string | undefined {
  if (!errors) return undefined
  if (errors[name]) return errors[name]
  const inside = Object.keys(errors).find((k) => k.startsWith(name + "[") || k.startsWith(name + "."))
  if (!inside) return undefined
  const place = inside.slice(name.length).match(/^\[(\d+)\](.*)$/)
  return place ? `Entry ${Number(place[1]) + 1}${place[2].replace(/^\./, ", ")}: ${errors[inside]}` : `${inside.slice(name.length + 1)}: ${errors[inside]}`
}

interface Text extends Common {
  value: string
  onInput: (v: string) => void
  placeholder?: string
  type?: "text" | "email" | "password" | "number" | "time" | "datetime-local"
  mono?: boolean
  autofocus?: boolean
  autocomplete?: string
  required?: boolean
}

export function TextField({ value, onInput, placeholder, type = "text", mono, autofocus, autocomplete = "off", required, ...rest }: Text) {
  return (
    <Field {...rest}>
      {(a) => (
        <input {...a} {...({ type } as object)} value={value} placeholder={placeholder} class={mono ? "mono" : ""} autofocus={autofocus} autocomplete={autocomplete}
          required={required} spellcheck={false} onInput={(e) => onInput(e.currentTarget.value)} />
      )}
    </Field>
  )
}

export function SelectField({ value, onChange, options, ...rest }: Common & { value: string; onChange: (v: string) => void; options: (string | [string, string])[] }) {
  return (
    <Field {...rest}>
      {(a) => (
        <select {...a} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
          {options.map((o) => {
            const [v, text] = Array.isArray(o) ? o : [o, o]
            return (
              <option key={v} value={v}>
                {text}
              </option>
            )
          })}
        </select>
      )}
    </Field>
  )
}

export function Check({ label, checked, onChange, hint }: { label: string; checked: boolean; onChange: (v: boolean) => void; hint?: string }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(e) => onChange(e.currentTarget.checked)} />
      <span>
        {label}
        {hint && <small class="muted"> {hint}</small>}
      </span>
    </label>
  )
}

// Rest shows the errors of fields that the form does not have.
export function Rest({ errors, known }: { errors: Errors; known: string[] }) {
  const rest = Object.entries(errors).filter(([k]) => !known.some((n) => k === n || k.startsWith(n + ".") || k.startsWith(n + "[")))
  if (!rest.length) return null
  return (
    <ul class="field-error" role="alert">
      {rest.map(([k, m]) => (
        <li key={k}>
          <code>{k}</code>: {m}
        </li>
      ))}
    </ul>
  )
}
