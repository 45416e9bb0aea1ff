// The frame of a view: its title, what can be done, and the same as a command.
import type { ComponentChildren } from "preact"
import { useEffect } from "preact/hooks"
import { curl, type Request } from "../api/client"
import { Button } from "./button"
import { copy } from "./toast"

interface Props {
  title: string
  about?: ComponentChildren
  actions?: ComponentChildren
  curl?: Request | Request[]
  narrow?: boolean // a form, whose lines should not be long
  children: ComponentChildren
}

export function View({ title, about, actions, curl: requests, narrow, children }: Props) {
  useEffect(() => {
    document.title = `${title} · ngfw.sh`
  }, [title])
  return (
    <div class={narrow ? "view form-view" : "view"}>
      <header class="view-head">
        <div>
          <h1>{title}</h1>
          {about && <p class="muted">{about}</p>}
        </div>
        <div class="actions">
          {actions}
          {requests && (
            <Button kind="quiet" icon="copy" onClick={() => copy([requests].flat().map(curl).join("\n"), "Copied as curl; it reads the token from $NGFW_TOKEN")}>
              Copy as curl
            </Button>
          )}
        </div>
      </header>
      {children}
    </div>
  )
}
