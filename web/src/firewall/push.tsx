// The push dialog: what a change would do, before it is made; then how it went.
import { useState } from "preact/hooks"
import { answer } from "../api/client"
import { ApiError, asError } from "../api/failure"
import type { ActionChange } from "../api/schema"
import { useFleet } from "../fleet"
import { Button, LinkButton } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Failure } from "../ui/state"
import { BackTest } from "./backtest"
import { write, type Plan } from "./change"
import { Converging } from "./converging"
import { Difference } from "./difference"

// beyond says that the comparison cannot follow the policies, though the change
// may be sound: what is wrong is not a field of the change.
const beyond = (e: ApiError) => e.missing || (e.status === 400 && !e.fields.some((f) => f.field.startsWith("change")))

interface Props {
  plan: Plan
  diff: ActionChange[] | ApiError
  device: string
  onClose: () => void
  onDone: () => void
  onUndo: (undo: Plan) => void
}

export function PushDialog({ plan, diff, device, onClose, onDone, onUndo }: Props) {
  const { devices } = useFleet()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError>()
  const [made, setMade] = useState<{ answer: unknown; version: number; at: number }>()
  const name = devices.data?.find((d) => d.id === device)?.name ?? "the router"

  const push = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const res = await answer(write(plan.change, device))
      const body: unknown = res.status === 204 ? undefined : await res.json()
      setMade({ answer: body, version: Number(res.headers.get("X-Config-Version") ?? 0), at: Date.now() })
      onDone()
    } catch (e) {
      setError(asError(e))
    }
    setBusy(false)
  }

  if (made)
    return (
      <Dialog title={plan.title} size="large" onClose={onClose}
        footer={
          <>
            {plan.undo && (
              <Button class="left" onClick={() => onUndo(plan.undo!(made.answer))}>
                Take it back
              </Button>
            )}
            {plan.watch && (
              <LinkButton href={plan.watch(made.answer)} icon="live">
                Watch it live
              </LinkButton>
            )}
            <Button kind="primary" onClick={onClose} autofocus>
              Done
            </Button>
          </>
        }>
        <Converging device={device} name={name} version={made.version} since={made.at} />
      </Dialog>
    )
  const unknown = diff instanceof ApiError && beyond(diff)
  return (
    <Dialog title={plan.title} size="large" onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" busy={busy} disabled={diff instanceof ApiError && !unknown} onClick={() => void push()} autofocus={!unknown}>
            {busy ? "Pushing" : unknown ? `Push to ${name} without the comparison` : `Push to ${name}`}
          </Button>
        </>
      }>
      {error && <Failure error={error} />}
      {!(diff instanceof ApiError) ? (
        <Difference of={diff} />
      ) : unknown ? (
        <section>
          <h3>What changes for packets</h3>
          <p>The server cannot tell: {diff.message}.</p>
          <p class="muted">The change itself is checked when it is pushed, and refused whole if the router could not enforce it.</p>
        </section>
      ) : (
        <Failure error={diff} what="difference of policies" />
      )}
      {(unknown || !(diff instanceof ApiError)) && <BackTest change={plan.change} device={device} />}
    </Dialog>
  )
}
