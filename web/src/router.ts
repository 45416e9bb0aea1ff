// The address is the state: what a view shows stands in its path and query, so
// that a link, a reload and the back button all show the same.
import { useEffect, useState } from "preact/hooks"

export interface Place {
  path: string
  query: URLSearchParams
}

const listeners = new Set<() => void>()

function current(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) }
}

function tell() {
  for (const l of listeners) l()
}

addEventListener("popstate", tell)

// A click on a link of ours changes the place without loading the page anew.
document.addEventListener("click", (e) => {
  const a = (e.target as Element).closest?.("a[href]") as HTMLAnchorElement | null
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
  if (a.target || a.hasAttribute("download") || a.origin !== location.origin || a.pathname.startsWith("/api")) return
  if (a.hash && a.pathname === location.pathname) return
  e.preventDefault()
  go(a.pathname + a.search)
})

export function go(to: string, replace = false) {
  if (to !== location.pathname + location.search) {
    history[replace ? "replaceState" : "pushState"](null, "", to)
  }
  tell()
}

export type Changes = Record<string, string | string[] | null | undefined>

// withQuery is the address of a path with the query changed; null and "" remove.
export function withQuery(path: string, query: URLSearchParams, changes: Changes): string {
  const q = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes)) {
    q.delete(name)
    for (const v of Array.isArray(value) ? value : [value]) if (v) q.append(name, v)
  }
  const text = q.toString()
  return text ? `${path}?${text}` : path
}

// setQuery changes what the view shows. What a reader would not go back to
// (typing) replaces.
export function setQuery(changes: Changes, replace = false) {
  go(withQuery(location.pathname, new URLSearchParams(location.search), changes), replace)
}

export function usePlace(): Place {
  const [place, set] = useState(current)
  useEffect(() => {
    const changed = () => set(current())
    listeners.add(changed)
    changed()
    return () => void listeners.delete(changed)
  }, [])
  return place
}
