// The back-test: what the change would have done to recorded traffic. It runs on
// the server as an operation, which is asked until it is done.
import { useEffect, useState } from "preact/hooks"
import { call } from "../api/client"
import { asError, type ApiError } from "../api/failure"
import type { AsyncOperation, OperationStarted } from "../api/schema"
import { bytes, count, dateTime, some } from "../format"
import { endpoint } from "../traffic/entry"
import { Segmented } from "../ui/segmented"
import { Failure } from "../ui/state"
import type { Change } from "./change"

// Of the result, whose shape docs/policy.md says.
interface Entry {
  client: string
  destination: string
  hostname?: string
  protocol: string
  port: number
  app?: string
  rule_id: number | null
  decided_by: string
  bytes: number
  connections: number
  last_seen: number
  examples: string[]
  reason?: string
}

type Kind = "blocked" | "allowed" | "uncertain"

interface Result extends Record<Kind, Entry[]> {
  totals: Record<Kind, { bytes: number; connections: number; unlisted: number }>
  rows: number
  judged: number
}

const spans = { "600": "10 minutes", "3600": "1 hour", "86400": "24 hours" }
type Span = keyof typeof spans

export function BackTest({ change, device }: { change: Change; device: string }) {
  const [span, setSpan] = useState<Span>("600")
  const [run, setRun] = useState<AsyncOperation>()
  const [error, setError] = useState<ApiError>()
  const key = JSON.stringify(change)

  useEffect(() => {
    const stop = new AbortController()
    const test = async () => {
      setRun(undefined)
      setError(undefined)
      const to = Math.ceil(Date.now() / 1000)
      try {
        const begun = await call<OperationStarted>({
          method: "POST", path: "/api/firewall/backtest", device, body: { change, from: to - Number(span), to }, signal: stop.signal,
        })
        for (let wait = 200; !stop.signal.aborted; wait = Math.min(2000, wait * 1.5)) {
          const op = await call<AsyncOperation>({ path: `/api/operations/${begun.operation_id}`, signal: stop.signal })
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
        <Results of={run.result as unknown as Result} />
      ) : run?.status === "failed" ? (
        <p class="field-error">{run.error?.message ?? "the back-test failed"}</p>
      ) : (
        <p role="status" class="muted">
          Judging what was recorded{run?.progress ? `: ${Math.round(run.progress * 100)} %` : ""}
        </p>
      )}
    </section>
  )
}

function Results({ of }: { of: Result }) {
  const read = `${some(of.rows, "row")} of the log read, ${some(of.judged, "kind")} of flows judged.`
  if (!of.blocked.length && !of.allowed.length && !of.uncertain.length)
    return (
      <>
        <p>Nothing that was recorded in this time would have been decided otherwise.</p>
        <p class="muted small">{read}</p>
      </>
    )
  return (
    <div class="stack">
      <Table title="Would have been blocked" tone="drop" of={of} kind="blocked" />
      <Table title="Would have been allowed" tone="accept" of={of} kind="allowed" />
      <Table title="Cannot be told" tone="reject" of={of} kind="uncertain" />
      <p class="muted small">{read}</p>
    </div>
  )
}

const shown = 50

function Table({ title, tone, of, kind }: { title: string; tone: string; of: Result; kind: Kind }) {
  const list = of[kind]
  const total = of.totals[kind]
  if (!list.length) return null
  const more = Math.max(0, list.length - shown) + total.unlisted
  return (
    <div class="scroll tested" tabIndex={0} role="region" aria-label={title}>
      <table>
        <caption>
          <span class={`tone-${tone}`}>{title}</span>: {some(total.connections, "connection")}, {bytes(total.bytes)}
        </caption>
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
          {list.slice(0, shown).map((e, i) => (
            <tr key={i}>
              <td class="mono">{e.client}</td>
              <td>
                <span class="mono">{endpoint(e.destination, e.port)}</span> <small class="muted">{[e.protocol, e.app, e.hostname].filter(Boolean).join(" ")}</small>
                {e.reason && <small class="under">{e.reason}</small>}
              </td>
              <td class="num">{count(e.connections)}</td>
              <td class="num">{bytes(e.bytes)}</td>
              <td class="nowrap">{e.examples[0] ? <a href={`/log?row=${encodeURIComponent(e.examples[0])}`} target="_blank" rel="noopener">{dateTime(e.last_seen)}</a> : dateTime(e.last_seen)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 && <p class="muted small">and {count(more)} more {more === 1 ? "kind" : "kinds"} of flows</p>}
    </div>
  )
}
