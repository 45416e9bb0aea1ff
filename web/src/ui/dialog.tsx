import type { ComponentChildren } from "preact"
import { useEffect, useId, useRef } from "preact/hooks"
import { IconButton } from "./button"
import { rise, Spoken } from "./toast"

interface Props {
  title: string
  onClose: () => void
  size?: "normal" | "large" | "side"
  footer?: ComponentChildren
  children: ComponentChildren
}

// Dialog is the browser's own modal: it keeps the focus, Escape closes it, and
// what is behind cannot be reached.
export function Dialog({ title, onClose, size = "normal", footer, children }: Props) {
  const box = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const d = box.current
    if (!d) return
    const before = document.activeElement as HTMLElement | null
    d.showModal()
    rise()
    ;(d.querySelector("[autofocus]") as HTMLElement | null)?.focus()
    return () => {
      d.close()
      before?.focus?.()
    }
  }, [])
  return (
    <dialog ref={box} class={`dialog ${size}`} aria-labelledby={id}
      onCancel={(e) => {
        e.preventDefault()
        onClose()
      }}
      onMouseDown={(e) => e.target === box.current && onClose()}>
      <div class="dialog-box">
        <header>
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
        <div class="dialog-body">{children}</div>
        {footer && <footer>{footer}</footer>}
        <Spoken />
      </div>
    </dialog>
  )
}
