// What a view shows when it has nothing, not yet, not any more, or old things.
import type { ComponentChildren } from "preact"
import { clock } from "../format"
import type { ApiError } from "../api/failure"
import type { Resource } from "../api/resource"
import { Button } from "./button"

export function Loading({ lines = 5, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div class="skeleton" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

export function Failure({ error, retry, what = "this" }: { error: ApiError; retry?: () => void; what?: string }) {
  if (error.missing) return <Missing what={what} />
  return (
    <div class="failure" role="alert">
      <p class="empty-title">{title(error)}</p>
      {error.fields.length > 0 ? (
        <ul>
          {error.fields.map((f) => (
            <li key={f.field}>
              <code>{f.field}</code>: {f.message}
            </li>
          ))}
        </ul>
      ) : (
        <p>{error.message}</p>
      )}
      {error.requestId && <p class="muted small">Request {error.requestId}: the server's log has it under this name.</p>}
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  )
}

// Missing names what this server does not have.
export function Missing({ what }: { what: string }) {
  return (
    <div class="empty missing">
      <p class="empty-title">This server has no {what} yet</p>
      <p class="muted">It answers that the address does not exist. A newer version of the cloud may bring it; nothing is shown in its place.</p>
    </div>
  )
}

function title(e: ApiError): string {
  switch (e.code) {
    case "NETWORK":
      return "No connection to the server"
    case "RATE_LIMIT":
      return "Too many requests"
    case "FORBIDDEN":
      return "Not allowed"
    case "PLAN_LIMIT":
      return "Not part of this plan"
    case "DEVICE_OFFLINE":
      return "The router is not connected"
    case "NOT_FOUND":
      return "Not found"
  }
  return e.status >= 500 ? "The server failed" : "The server refused this"
}

// Stale says that what stands below is old, and why.
export function Stale({ of }: { of: Resource<unknown> }) {
  if (!of.error || of.data === undefined || of.error.missing) return null
  return (
    <div class="stale" role="status">
      <span>
        As of {clock(of.at / 1000)}: {of.error.message}.
      </span>
      <Button kind="quiet" onClick={of.reload}>
        Try now
      </Button>
    </div>
  )
}

// Shown is a resource in whatever state it is.
export function Shown<T>(p: { of: Resource<T>; what: string; lines?: number; children: (data: T) => ComponentChildren }) {
  const { of } = p
  if (of.data !== undefined)
    return (
      <>
        <Stale of={of} />
        {p.children(of.data)}
      </>
    )
  if (of.error) return <Failure error={of.error} retry={of.reload} what={p.what} />
  return <Loading lines={p.lines} label={`Loading ${p.what}`} />
}
