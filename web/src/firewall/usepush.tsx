import { useState } from "preact/hooks"
import type { ComponentChildren } from "preact"
import { call } from "../api/client"
import { asError, type ApiError } from "../api/failure"
import type { ActionChange } from "../api/schema"
import type { Plan } from "./change"
import { PushDialog } from "./push"

export interface Push {
  begin: (plan: Plan, refused?: (e: ApiError) => void) => Promise<void>
  busy: boolean
  dialog: ComponentChildren
}

// usePush takes a planned change through its dialog. What is wrong with the
// fields of a form goes back to the form, before there is a dialog.
export function usePush(device: string, done: () => void): Push {
  const [plan, setPlan] = useState<Plan>()
  const [diff, setDiff] = useState<ActionChange[] | ApiError>()
  const [busy, setBusy] = useState(false)

  const begin: Push["begin"] = async (next, refused) => {
    setBusy(true)
    let found: ActionChange[] | ApiError
    try {
      found = await call<ActionChange[]>({ method: "POST", path: "/api/firewall/diff", device, body: { change: next.change } })
    } catch (e) {
      found = asError(e)
      if (refused && found.fields.some((f) => f.field.startsWith("change"))) {
        setBusy(false)
        return refused(found)
      }
    }
    setDiff(found)
    setPlan(next)
    setBusy(false)
  }
  const close = () => setPlan(undefined)
  return {
    begin,
    busy,
    dialog: plan && diff && <PushDialog key={plan.title + JSON.stringify(plan.change)} plan={plan} diff={diff} device={device} onClose={close} onDone={done} onUndo={(undo) => void begin(undo)} />,
  }
}
