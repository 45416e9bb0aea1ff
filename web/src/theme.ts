import { useEffect, useState } from "preact/hooks"

// The theme is the system's until the reader chooses one.
export type Theme = "light" | "dark"

const key = "ngfw.theme"
const system = matchMedia("(prefers-color-scheme: dark)")
const listeners = new Set<() => void>()

export function theme(): Theme {
  const chosen = localStorage.getItem(key)
  return chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light"
}

function apply() {
  document.documentElement.dataset.theme = theme()
  for (const l of listeners) l()
}

export function toggleTheme() {
  localStorage.setItem(key, theme() === "dark" ? "light" : "dark")
  apply()
}

system.addEventListener("change", apply)
apply()

export function useTheme(): Theme {
  const [t, set] = useState(theme)
  useEffect(() => {
    const changed = () => set(theme())
    listeners.add(changed)
    return () => void listeners.delete(changed)
  }, [])
  return t
}
