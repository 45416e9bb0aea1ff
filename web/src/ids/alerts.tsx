import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { AlertsResponse, IDSConfig, IdsAlert } from "../api/schema"
import { useFleet } from "../fleet"
import { count, dateTime, useZone, zoneName } from "../format"
import { setQuery, usePlace, withQuery } from "../router"
import { endpoint } from "../traffic/entry"
import { Stream } from "../traffic/stream"
import { Button } from "../ui/button"
import { Icon } from "../ui/icon"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { AlertDetail } from "./detail"
import { SuppressAlert } from "./suppress"
import { Summary } from "./summary"

const severities = ["critical", "high", "medium", "low"]
const names = ["severity", "category", "action", "signature_id", "src", "dst", "flow_id", "q"]
export const severityTone: Record<string, string> = { critical: "bad", high: "bad", medium: "warn", low: "" }

// The alerts: found as the rows of the traffic log are, newest first. Those that
// come meanwhile are counted, and shown when asked for.
export function Alerts() {
  const { query } = usePlace()
  const { filter: device } = useFleet()
  useZone()
  const cursor = query.get("cursor") ?? ""
  const text = query.toString()
  const filter = useMemo(() => {
    const q = new URLSearchParams()
    for (const n of names) if (query.get(n)) q.set(n, query.getAll(n).join(","))
    if (device) q.set("device_id", device)
    return q
  }, [text, device])
  const asked = useMemo(() => {
    const q = new URLSearchParams(filter)
    q.set("limit", "50")
    if (cursor) q.set("cursor", cursor)
    return q
  }, [filter, cursor])
  const request = { path: "/api/ids/alerts", query: asked }
  const alerts = useResource<AlertsResponse>(request)
  const [fresh, setFresh] = useState(0)
  const there = alerts.data !== undefined

  // An alert is seen before it is stored: a page that lacks one is asked for again,
  // also when other filters have been set meanwhile.
  const seen = useRef({ ids: new Set<string>(), tries: 0 }).current
  useEffect(() => {
    if (!alerts.data) return
    for (const a of alerts.data.alerts) seen.ids.delete(a.id)
    if (seen.ids.size === 0 || cursor || seen.tries >= 5) {
      seen.ids.clear()
      seen.tries = 0
      return
    }
    const again = setTimeout(alerts.reload, 1000 * 2 ** seen.tries++)
    return () => clearTimeout(again)
  }, [alerts.at])

  useEffect(() => {
    setFresh(0)
    if (!there || cursor) return
    const live = new Stream("/api/ids/alerts/stream", "alert", Object.fromEntries(filter), {
      row: (frame) => {
        seen.ids.add((JSON.parse(frame) as { data: IdsAlert }).data.id)
        setFresh((n) => n + 1)
      },
      state: () => {}, dropped: () => {}, gap: () => {}, refused: () => {},
    })
    return () => live.close()
  }, [there, filter, cursor, alerts.at])

  const chosen = (query.get("severity") ?? "").split(",").filter(Boolean)
  const change = (c: Record<string, string | string[] | null>) => setQuery({ ...c, cursor: null, alert: null })
  const set = names.filter((n) => !["severity", "q"].includes(n) && query.get(n))
  const open = alerts.data?.alerts.find((a) => a.id === query.get("alert"))
  return (
    <View title="Alerts" curl={request} about={`What the intrusion detection found in the traffic. Times in ${zoneName()}.`}>
      {there && <Summary device={device} />}
      <section class="filters" aria-label="Filters">
        <div class="filter-row">
          <form role="search" class="search" onSubmit={(e) => (e.preventDefault(), change({ q: (e.currentTarget.elements.namedItem("q") as HTMLInputElement).value }))}>
            <input name="q" type="search" key={query.get("q")} defaultValue={query.get("q") ?? ""} aria-label="Part of a signature or category, or an address" placeholder="Signature, category or address" />
          </form>
          <div class="toggles" role="group" aria-label="Severities">
            {severities.map((s) => (
              <button key={s} type="button" class={`toggle ${s === "low" ? "accept" : s === "medium" ? "reject" : "drop"}`} aria-pressed={chosen.includes(s)}
                onClick={() => change({ severity: (chosen.includes(s) ? chosen.filter((x) => x !== s) : [...chosen, s]).join(",") || null })}>
                {s}
              </button>
            ))}
          </div>
          {fresh > 0 && (
            <Button kind="primary" icon="up" onClick={alerts.reload}>
              {count(fresh)} new
            </Button>
          )}
        </div>
        {set.length > 0 && (
          <ul class="chips" aria-label="Filters in force">
            {set.map((n) => (
              <li key={n}>
                <button type="button" class="chip" aria-label={`Remove the filter ${n} ${query.get(n)}`} onClick={() => change({ [n]: null })}>
                  <span class="muted">{n.replace("_", " ")}</span> {query.get(n)} <Icon name="close" size={12} />
                </button>
              </li>
            ))}
          </ul>
        )}
      </section>
      <Shown of={alerts} what="intrusion detection">
        {(page) =>
          page.alerts.length === 0 ? (
            <Empty title="No alerts">
              <Nothing filtered={[...filter].length > 0} />
            </Empty>
          ) : (
            <>
              <Table list={page.alerts} />
              <nav class="pager" aria-label="Pages">
                <span class="muted">
                  {page.total_exact === false ? "more than " : ""}
                  {count(page.total)} {page.total === 1 ? "alert" : "alerts"}
                </span>
                {cursor && <a class="button" href={withQuery("/ids", query, { cursor: null, alert: null })}>Newest</a>}
                {page.next_cursor && <a class="button" rel="next" href={withQuery("/ids", query, { cursor: page.next_cursor, alert: null })}>Older</a>}
              </nav>
            </>
          )
        }
      </Shown>
      {open && <AlertDetail alert={open} onClose={() => setQuery({ alert: null })} />}
      {open && query.get("suppress") && <SuppressAlert key={query.get("suppress")} alert={open} by={query.get("suppress")!} onClose={() => setQuery({ suppress: null })} />}
    </View>
  )
}

// Nothing says whether anybody has looked.
function Nothing({ filtered }: { filtered: boolean }) {
  const { device } = useFleet()
  const config = useResource<IDSConfig>(device && !filtered ? { path: "/api/ids/config", device: device.id } : null)
  if (filtered) return <p class="muted">None that these filters let through.</p>
  if (config.data && !config.data.enabled)
    return (
      <p class="muted">
        The traffic of {device?.name} is not inspected. <a href={withQuery("/ids/config", new URLSearchParams(), { device: device?.id })}>Switch it on</a>
      </p>
    )
  return <p class="muted">Nothing was found in the traffic so far.</p>
}

function Table({ list }: { list: IdsAlert[] }) {
  const open = (a: IdsAlert) => setQuery({ alert: a.id })
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Rows of alerts">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Severity</th>
            <th scope="col">Signature</th>
            <th scope="col">Source</th>
            <th scope="col">Destination</th>
            <th scope="col">Action</th>
          </tr>
        </thead>
        <tbody>
          {list.map((a) => (
            <tr key={a.id} data-row={a.id} onClick={(e) => !(e.target as Element).closest("a, button") && open(a)}>
              <td class="time">
                <button type="button" class="row-open" aria-label={`${dateTime(a.timestamp)} ${a.signature}: details`} onClick={() => open(a)}>
                  {dateTime(a.timestamp)}
                </button>
              </td>
              <td>
                <span class={`badge ${severityTone[a.severity] ?? ""}`}>{a.severity}</span>
              </td>
              <td>
                {a.signature} <small class="muted">{a.category}</small>
              </td>
              <td class="mono">{endpoint(a.source_ip, a.source_port)}</td>
              <td class="mono">
                {endpoint(a.destination_ip, a.destination_port)} <small class="muted">{a.app_proto ?? a.protocol}</small>
              </td>
              <td>
                <span class={`badge ${a.action === "blocked" ? "drop" : "accept"}`}>{a.action}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
