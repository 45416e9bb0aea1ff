import type { ComponentChildren, JSX } from "preact"
import { Icon, type IconName } from "./icon"

interface Props extends Omit<JSX.IntrinsicElements["button"], "icon"> {
  kind?: "plain" | "primary" | "danger" | "quiet"
  icon?: IconName
  busy?: boolean
  children?: ComponentChildren
}

export function Button({ kind = "plain", icon, busy, children, class: more, disabled, ...rest }: Props) {
  return (
    <button type="button" class={`button ${kind} ${more ?? ""}`} disabled={Boolean(disabled) || busy} aria-busy={busy || undefined} {...rest}>
      {icon && <Icon name={icon} size={16} />}
      {children}
    </button>
  )
}

// IconButton shows a picture and says a name.
export function IconButton({ icon, label, ...rest }: Props & { icon: IconName; label: string }) {
  return (
    <button type="button" aria-label={label} title={label} {...rest} class={`icon-button ${rest.class ?? ""}`}>
      <Icon name={icon} />
    </button>
  )
}

export function LinkButton({ href, icon, kind = "plain", children }: { href: string; icon?: IconName; kind?: string; children: ComponentChildren }) {
  return (
    <a class={`button ${kind}`} href={href}>
      {icon && <Icon name={icon} size={16} />}
      {children}
    </a>
  )
}
