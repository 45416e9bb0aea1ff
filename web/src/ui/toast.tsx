import { useEffect, useState } from "preact/hooks"

let show: (text: string) => void = () => {}

export function say(text: string) {
  show(text)
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

// Toasts is the one place that short messages appear, and are read out, in.
export function Toasts() {
  const [text, set] = useState("")
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    show = (t) => {
      set(t)
      clearTimeout(timer)
      timer = setTimeout(() => set(""), 4500)
    }
    return () => clearTimeout(timer)
  }, [])
  return (
    <div class={text ? "toast shown" : "toast"} role="status" aria-live="polite">
      {text}
    </div>
  )
}
