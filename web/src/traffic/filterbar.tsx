import { useState } from "preact/hooks"
import { setQuery, usePlace, type Changes } from "../router"
import { Button } from "../ui/button"
import { Icon } from "../ui/icon"
import { actions, active, fields } from "./filter"

// FilterBar changes the filters in the address. A change goes back to the first
// page. The fields belong to who types: a view that is drawn anew, as the live log
// several times a second, must not put back what the address says.
export function FilterBar({ children }: { children?: preact.ComponentChildren }) {
  const { query } = usePlace()
  const set = [...active(query)]
  const [open, setOpen] = useState(false)
  const chosen = query.getAll("action").flatMap((a) => a.split(",")).filter(Boolean)
  const change = (c: Changes) => setQuery({ ...c, cursor: null, page: null, row: null })
  const toggle = (a: string) => change({ action: chosen.includes(a) ? chosen.filter((x) => x !== a) : [...chosen, a] })

  return (
    <section class="filters" aria-label="Filters">
      <div class="filter-row">
        <form role="search" class="search" onSubmit={(e) => (e.preventDefault(), change({ q: value(e, "q") }))}>
          <input name="q" type="search" aria-label="Host name, application, rule or address" placeholder="Host, application, rule or address"
            defaultValue={query.get("q") ?? ""} key={query.get("q")} onBlur={(e) => e.currentTarget.value !== (query.get("q") ?? "") && change({ q: e.currentTarget.value })} />
        </form>
        <div class="toggles" role="group" aria-label="Actions">
          {actions.map((a) => (
            <button key={a} type="button" class={`toggle ${a}`} aria-pressed={chosen.includes(a)} onClick={() => toggle(a)}>
              {a}
            </button>
          ))}
        </div>
        <Button icon="filter" aria-expanded={open} onClick={() => setOpen(!open)}>
          Filters{set.length ? ` (${set.length})` : ""}
        </Button>
        {children}
      </div>
      {open && (
        <form class="filter-grid" onSubmit={(e) => (e.preventDefault(), change(Object.fromEntries(fields.map((f) => [f.name, value(e, f.name)]))))}>
          {fields.map((f) => (
            <label key={f.name}>
              <span>{f.label}</span>
              <input name={f.name} placeholder={f.hint} defaultValue={query.getAll(f.name).join(",")} key={query.getAll(f.name).join(",")} spellcheck={false} autocomplete="off" />
            </label>
          ))}
          <div class="filter-apply">
            <Button type="submit" kind="primary">
              Apply
            </Button>
          </div>
        </form>
      )}
      {set.length > 0 && (
        <ul class="chips" aria-label="Filters in force">
          {set.map((f) => (
            <li key={f.name + f.value}>
              <button type="button" class="chip" aria-label={`Remove the filter ${f.label} ${f.value}`} onClick={() => change({ [f.name]: f.rest })}>
                <span class="muted">{f.label}</span> {f.value} <Icon name="close" size={12} />
              </button>
            </li>
          ))}
          {set.length > 1 && (
            <li>
              <Button kind="quiet" onClick={() => change(Object.fromEntries(set.map((f) => [f.name, null])))}>
                Remove all
              </Button>
            </li>
          )}
        </ul>
      )}
    </section>
  )
}

function value(e: Event, name: string): string {
  const field = (e.currentTarget as HTMLFormElement).elements.namedItem(name)
  return (field as HTMLInputElement).value.trim()
}
