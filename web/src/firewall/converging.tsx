import { useRef } from "preact/hooks"
import { useResource } from "../api/resource"
import type { DeviceStatus } from "../api/schema"
import { Dot } from "../ui/badge"
import { Stale } from "../ui/state"

// A router that is there has a change within a moment: what takes longer is asked
// about less often.
const pace = (since: number) => (Date.now() - since < 3000 ? 150 : 1000)

// Converging follows a change to the router: stored, sent, enforced or refused.
export function Converging({ device, name, version, since }: { device: string; name: string; version: number; since: number }) {
  const done = useRef(0)
  const status = useResource<DeviceStatus>({ path: `/api/fleet/devices/${device}/status` }, done.current ? 0 : pace(since))
  const s = status.data
  const c = s?.config
  const taken = Boolean(c && c.applied >= version && (c.state === "synced" || c.state === "degraded"))
  // What was enforced once is not told anew when a newer version is on its way.
  const applied = taken || done.current > 0
  if (applied && !done.current) done.current = Date.now()
  return (
    <section aria-live="polite" class="converging">
      <p>
        <Dot state="good" label={`Stored as version ${version} of the configuration`} />
      </p>
      <p>
        {!s ? (
          <Dot state="off" label={`Asking how ${name} does`} />
        ) : applied ? (
          <Dot state="good" label={`${name} enforces it, ${((done.current - since) / 1000).toFixed(1)} s after the push`} />
        ) : c?.state === "failed" ? (
          <Dot state="bad" label={`${name} did not take it and keeps enforcing version ${c.applied}`} />
        ) : s.status !== "online" ? (
          <Dot state="warn" label={`${name} is ${s.status}; it gets the change when it comes back`} />
        ) : (
          <Dot state="warn" label={`${name} is taking it; it enforces version ${c?.applied ?? "?"} so far`} />
        )}
      </p>
      {(c?.state === "failed" || c?.state === "degraded") && c.error && (
        <p class="field-error" role="alert">
          {c.error.message}
          {c.error.field && (
            <>
              {" "}
              (<code>{c.error.field}</code>)
            </>
          )}
        </p>
      )}
      <Stale of={status} />
    </section>
  )
}
