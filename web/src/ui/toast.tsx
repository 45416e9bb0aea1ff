import { useEffect, useRef, useState } from "preact/hooks"

let text = ""
let timer: ReturnType<typeof setTimeout>
const listeners = new Set<() => void>()

function put(t: string) {
  text = t
  for (const l of listeners) l()
}

export function say(t: string) {
  put(t)
  rise()
  clearTimeout(timer)
  timer = setTimeout(() => put(""), 4500)
}

export async function copy(text: string, done: string) {
  try {
    await navigator.clipboard.writeText(text)
    say(done)
  } catch {
    // Without a secure context there is no clipboard: let the reader take it.
    prompt("Copy this", text)
  }
}

function useText(): string {
  const [t, set] = useState(text)
  useEffect(() => {
    const changed = () => set(text)
    listeners.add(changed)
    changed()
    return () => void listeners.delete(changed)
  }, [])
  return t
}

let place: HTMLElement | null = null

// rise lifts the messages above the dialogs: of what is in the browser's top
// layer, what came last is in front.
export function rise() {
  if (!place?.isConnected) return
  if (place.matches(":popover-open")) place.hidePopover()
  place.showPopover()
}

// Toasts is the one place that short messages appear in.
export function Toasts() {
  const t = useText()
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    place = box.current
    rise()
    return () => void (place = null)
  }, [])
  return (
    <div ref={box} popover="manual" class={t ? "toast shown" : "toast"} role="status" aria-live="polite">
      {t}
    </div>
  )
}

// Spoken reads them out in a dialog, as all that is outside an open one is inert.
export function Spoken() {
  const t = useText()
  return (
    <p class="hidden" role="status" aria-live="polite">
      {t}
    </p>
  )
}
