import { useMemo, useState } from "preact/hooks"
import { answer } from "../api/client"
import { asError } from "../api/failure"
import { useResource } from "../api/resource"
import type { LogEntry, LogsResponse } from "../api/schema"
import { useFleet } from "../fleet"
import { bytes, clock, count, dateTime, useZone, zoneName } from "../format"
import { setQuery, usePlace, withQuery } from "../router"
import { Action } from "../ui/badge"
import { Button } from "../ui/button"
import { Icon } from "../ui/icon"
import { Segmented } from "../ui/segmented"
import { Empty, Shown } from "../ui/state"
import { say } from "../ui/toast"
import { View } from "../ui/view"
import { RowDetail } from "./detail"
import { decidedBy, endpoint } from "./entry"
import { useFilter } from "./filter"
import { FilterBar } from "./filterbar"

const seconds: Record<string, number> = { "1h": 3600, "24h": 86_400, "7d": 604_800 }

// The log: the newest rows first, page by page along a cursor, so that rows that
// arrive meanwhile move nothing.
export function Log() {
  const { query } = usePlace()
  const { filter: device, devices } = useFleet()
  useZone()
  const filter = useFilter(device)
  const period = query.get("period") ?? ""
  const cursor = query.get("cursor") ?? ""
  const from = query.get("from")
  const to = query.get("to")

  const rows = useMemo(() => {
    const q = new URLSearchParams(filter)
    if (from) q.set("from", from)
    else if (seconds[period]) q.set("from", String(Math.floor(Date.now() / 60_000) * 60 - seconds[period]))
    if (to) q.set("to", to)
    return q
  }, [filter, from, to, period])
  const asked = useMemo(() => {
    const q = new URLSearchParams(rows)
    q.set("limit", "50")
    if (cursor) q.set("cursor", cursor)
    return q
  }, [rows, cursor])
  const request = { path: "/api/traffic/logs", query: asked }
  const log = useResource<LogsResponse>(request)
  const open = log.data?.logs.find((r) => r.id === query.get("row"))
  const many = (devices.data?.length ?? 0) > 1

  const choose = (p: string) => setQuery({ period: p, from: null, to: null, cursor: null, row: null })
  return (
    <View title="Log" curl={request} about={`What was decided, newest first. Times in ${zoneName()}.`}
      actions={
        <>
          <Segmented label="Period" value={from || to ? "" : period} onChange={choose}
            options={[["", "All"], ["1h", "1h"], ["24h", "24h"], ["7d", "7d"]].map(([value, text]) => ({ value, text }))} />
          <Export rows={rows} />
        </>
      }>
      <FilterBar>
        {(from || to) && (
          <button type="button" class="chip" aria-label="Remove the time span" onClick={() => setQuery({ from: null, to: null, cursor: null })}>
            <span class="muted">Time</span> {from ? dateTime(Number(from)) : "…"} – {to ? dateTime(Number(to)) : "now"} <Icon name="close" size={12} />
          </button>
        )}
      </FilterBar>
      <Shown of={log} what="traffic log" lines={12}>
        {(page) =>
          page.logs.length === 0 ? (
            <Empty title="No rows">
              <p class="muted">{[...filter].length ? "Nothing that these filters let through." : "No router has reported a flow yet."}</p>
            </Empty>
          ) : (
            <>
              <Table rows={page.logs} many={many} />
              <nav class="pager" aria-label="Pages">
                <span class="muted">
                  {page.total_exact === false ? "more than " : ""}
                  {count(page.total)} {page.total === 1 ? "row" : "rows"}
                </span>
                {cursor ? <a class="button" href={withQuery("/log", query, { cursor: null, row: null })}>Newest</a> : <Button onClick={log.reload} busy={log.loading}>Look again</Button>}
                {page.next_cursor && <a class="button" rel="next" href={withQuery("/log", query, { cursor: page.next_cursor, row: null })}>Older</a>}
              </nav>
            </>
          )
        }
      </Shown>
      {query.get("row") && log.data && <RowDetail id={query.get("row")!} row={open} onClose={() => setQuery({ row: null })} />}
    </View>
  )
}

function Table({ rows, many }: { rows: LogEntry[]; many: boolean }) {
  const { devices } = useFleet()
  const open = (r: LogEntry) => setQuery({ row: r.id })
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Rows of the log">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Action</th>
            <th scope="col">Source</th>
            <th scope="col">Destination</th>
            <th scope="col">Protocol</th>
            <th scope="col">Decided by</th>
            {many && <th scope="col">Router</th>}
            <th scope="col">Event</th>
            <th scope="col" class="num">
              Bytes
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.id} data-row={r.id} onClick={(e) => !(e.target as Element).closest("a, button") && open(r)}>
              <td class="time">
                <button type="button" class="row-open" onClick={() => open(r)} aria-label={`${clock(r.timestamp, true)} ${r.action}: details`}>
                  {clock(r.timestamp, true)}
                </button>
              </td>
              <td>
                <Action action={r.action} />
              </td>
              <td class="mono">
                {endpoint(r.source_ip, 0)} <small class="muted">{r.zone_from}</small>
              </td>
              <td class="mono">
                {endpoint(r.destination_ip, r.destination_port)} <small class="muted">{r.zone_to}</small>
                {r.hostname && <small class="under">{r.hostname}</small>}
              </td>
              <td>
                {r.protocol}
                {r.app && <small class="muted"> {r.app}</small>}
              </td>
              <td>{decidedBy(r)}</td>
              {many && <td>{devices.data?.find((d) => d.id === r.device_id)?.name ?? r.device_id}</td>}
              <td>
                {r.event}
                {r.count > 1 && <small class="muted"> ×{count(r.count)}</small>}
              </td>
              <td class="num">{bytes(r.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Export({ rows }: { rows: URLSearchParams }) {
  const [busy, setBusy] = useState(false)
  const save = async (format: string) => {
    setBusy(true)
    try {
      const q = new URLSearchParams(rows)
      q.set("format", format)
      const res = await answer({ path: "/api/traffic/logs/export", query: q })
      const a = document.createElement("a")
      a.href = URL.createObjectURL(await res.blob())
      a.download = res.headers.get("Content-Disposition")?.match(/filename="?([^";]+)/)?.[1] ?? `traffic.${format}`
      a.click()
      setTimeout(() => URL.revokeObjectURL(a.href), 60_000)
      say(`Saved ${a.download}`)
    } catch (e) {
      const error = asError(e)
      say(error.missing ? "This server has no export of the log yet" : `The export failed: ${error.message}`)
    }
    setBusy(false)
  }
  return (
    <label class="export">
      <Icon name="download" size={16} />
      <span class="hidden">Export these rows</span>
      <select disabled={busy} value="" onChange={(e) => (void save(e.currentTarget.value), (e.currentTarget.value = ""))}>
        <option value="">{busy ? "Exporting" : "Export"}</option>
        <option value="csv">as CSV</option>
        <option value="ndjson">as JSON lines</option>
        <option value="parquet">as Parquet</option>
      </select>
    </label>
  )
}
