export function Action({ action }: { action: string }) {
  return <span class={`badge ${action}`}>{action}</span>
}

export function Dot({ state, label }: { state: "good" | "bad" | "warn" | "off"; label: string }) {
  return (
    <span class="dot-label">
      <span class={`dot ${state}`} aria-hidden="true" />
      {label}
    </span>
  )
}
