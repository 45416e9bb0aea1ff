// The back-test: what the change would have done to recorded traffic. It runs on
// the server as an operation, which is asked until it is done.
import { useEffect, useState } from "preact/hooks"
import { call } from "../api/client"
import { asError, type ApiError } from "../api/failure"
import { bytes, count, dateTime } from "../format"
import { Segmented } from "../ui/segmented"
import { Failure } from "../ui/state"
import type { Change } from "./change"

interface Group {
  client: string
  destination: string
  app?: string
  rule_id?: number
  bytes: number
  connections: number
  last_seen: number
  examples?: unknown[]
  reason?: string
}

interface Result {
  blocked: Group[]
  allowed: Group[]
  uncertain: Group[]
}

interface Operation {
  status: "pending" | "running" | "done" | "failed"
  progress?: number
  result?: Result
  error?: { message: string } | string
}

const spans = { "600": "10 minutes", "3600": "1 hour", "86400": "24 hours" }
type Span = keyof typeof spans

export function BackTest({ change, device }: { change: Change; device: string }) {
  const [span, setSpan] = useState<Span>("600")
  const [run, setRun] = useState<Operation>()
  const [error, setError] = useState<ApiError>()
  const key = JSON.stringify(change)

  useEffect(() => {
    const stop = new AbortController()
    const test = async () => {
      setRun(undefined)
      setError(undefined)
      const to = Math.ceil(Date.now() / 1000)
      try {
        const begun = await call<{ operation_id: string }>({
          method: "POST", path: "/api/firewall/backtest", device, body: { change, from: to - Number(span), to }, signal: stop.signal,
        })
        for (let wait = 200; !stop.signal.aborted; wait = Math.min(2000, wait * 1.5)) {
          const op = await call<Operation>({ path: `/api/operations/${begun.operation_id}`, signal: stop.signal })
          setRun(op)
          if (op.status === "done" || op.status === "failed") return
          await new Promise((r) => setTimeout(r, wait))
        }
      } catch (e) {
        if (!stop.signal.aborted) setError(asError(e))
      }
    }
    void test()
    return () => stop.abort()
  }, [key, device, span])

  if (error?.missing) return <p class="muted small">This server cannot yet try a change on recorded traffic; only the difference above is known.</p>
  return (
    <section aria-labelledby="backtest">
      <div class="card-head">
        <h3 id="backtest">On recorded traffic</h3>
        <Segmented label="Recorded traffic of the last" value={span} onChange={setSpan} options={Object.entries(spans).map(([value, text]) => ({ value: value as Span, text }))} />
      </div>
      {error ? (
        <Failure error={error} />
      ) : run?.status === "done" && run.result ? (
        <Results of={run.result} />
      ) : run?.status === "failed" ? (
        <p class="field-error">{typeof run.error === "string" ? run.error : (run.error?.message ?? "the back-test failed")}</p>
      ) : (
        <p role="status" class="muted">
          Judging what was recorded{run?.progress ? `: ${Math.round(run.progress * (run.progress <= 1 ? 100 : 1))} %` : ""}
        </p>
      )}
    </section>
  )
}

function Results({ of }: { of: Result }) {
  if (!of.blocked.length && !of.allowed.length && !of.uncertain.length) return <p>Nothing that was recorded in this time would have been decided otherwise.</p>
  return (
    <div class="stack">
      <Table title="Would have been blocked" tone="drop" groups={of.blocked} />
      <Table title="Would have been allowed" tone="accept" groups={of.allowed} />
      <Table title="Cannot be told" tone="reject" groups={of.uncertain} />
    </div>
  )
}

function Table({ title, tone, groups }: { title: string; tone: string; groups: Group[] }) {
  if (!groups.length) return null
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={title}>
      <table>
        <caption class={`tone-${tone}`}>{title}</caption>
        <thead>
          <tr>
            <th scope="col">Client</th>
            <th scope="col">Destination</th>
            <th scope="col" class="num">
              Connections
            </th>
            <th scope="col" class="num">
              Bytes
            </th>
            <th scope="col">Last seen</th>
          </tr>
        </thead>
        <tbody>
          {groups.slice(0, 50).map((g, i) => (
            <tr key={i}>
              <td class="mono">{g.client}</td>
              <td class="mono">
                {g.destination} {g.app && <small class="muted">{g.app}</small>}
                {g.reason && <small class="under">{g.reason}</small>}
              </td>
              <td class="num">{count(g.connections)}</td>
              <td class="num">{bytes(g.bytes)}</td>
              <td>{dateTime(g.last_seen)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {groups.length > 50 && <p class="muted small">and {count(groups.length - 50)} more</p>}
    </div>
  )
}
