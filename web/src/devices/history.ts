// Samples of what a router reports, kept from when the page was opened: the cloud
// keeps the newest report alone.
import { useEffect, useRef, useState } from "preact/hooks"
import { samples } from "../ui/spark"

export type History = Record<string, number[]>

export function useHistory(at: number, sample: Record<string, number | null | undefined>): History {
  const kept = useRef<History>({})
  const [, draw] = useState(0)
  useEffect(() => {
    if (!at) return
    for (const [name, value] of Object.entries(sample)) {
      if (value === null || value === undefined) continue
      const list = (kept.current[name] ??= [])
      list.push(value)
      if (list.length > samples) list.shift()
    }
    draw((n) => n + 1)
  }, [at])
  return kept.current
}
