import { useMemo } from "preact/hooks"
import { useResource } from "../api/resource"
import { useFleet } from "../fleet"
import { brief, bytes, count, dateTime, useZone, zoneName } from "../format"
import { setQuery, usePlace, withQuery } from "../router"
import { Chart } from "../ui/chart"
import { Segmented } from "../ui/segmented"
import { Shown } from "../ui/state"
import { View } from "../ui/view"
import { periods, useFilter } from "./filter"
import { FilterBar } from "./filterbar"
import type { TrafficStats } from "./shapes"
import { Tops } from "./tops"

// The overview: how much, what became of it, who and where, each a way further.
export function Overview() {
  const { query } = usePlace()
  const { filter: device } = useFleet()
  useZone()
  const filter = useFilter(device)
  const period = query.get("period") ?? "1h"
  const from = query.get("from")
  const to = query.get("to")
  const chart = query.get("chart") === "bytes" ? "bytes" : "flows"

  const span = useMemo(() => {
    const q = new URLSearchParams(filter)
    if (from && to) {
      q.set("from", from)
      q.set("to", to)
    } else q.set("period", period)
    return q
  }, [filter, period, from, to])
  const asked = useMemo(() => {
    const q = new URLSearchParams(span)
    q.set("compare", "previous")
    if (from && to && Number(to) - Number(from) <= 1800) q.set("step", "10s")
    return q
  }, [span])
  const request = { path: "/api/traffic/stats", query: asked }
  const stats = useResource<TrafficStats>(request, period === "1h" && !from ? 10_000 : 60_000)

  const choose = (p: string) => setQuery({ period: p, from: null, to: null })
  return (
    <View title="Traffic" curl={request}
      about={stats.data ? `${dateTime(stats.data.from)} to ${dateTime(stats.data.to)}, ${zoneName()}` : `Times in ${zoneName()}`}
      actions={<Segmented label="Period" value={from ? "" : period} options={[...periods].map((p) => ({ value: p as string, text: p }))} onChange={choose} />}>
      <FilterBar />
      <Shown of={stats} what="traffic statistics" lines={8}>
        {(s) => (
          <>
            <Figures of={s} />
            <section class="card" aria-label="Over time">
              <div class="card-head">
                <h2>{chart === "bytes" ? "Bytes over time" : "Connections over time"}</h2>
                <Segmented label="Chart" value={chart} options={[{ value: "flows", text: "Connections" }, { value: "bytes", text: "Bytes" }]}
                  onChange={(c) => setQuery({ chart: c === "bytes" ? c : null }, true)} />
              </div>
              <OverTime of={s} chart={chart} />
            </section>
          </>
        )}
      </Shown>
      <Tops span={span} filter={filter} />
    </View>
  )
}

function OverTime({ of, chart }: { of: TrafficStats; chart: string }) {
  const times = useMemo(() => of.over_time.map((b) => b.timestamp), [of])
  const series = useMemo(
    () =>
      chart === "bytes"
        ? [
            { label: "In", color: "--chart-in", values: of.over_time.map((b) => b.bytes_in) },
            { label: "Out", color: "--chart-out", values: of.over_time.map((b) => b.bytes_out) },
          ]
        : [
            { label: "Rejected", color: "--chart-reject", values: of.over_time.map((b) => b.rejected) },
            { label: "Dropped", color: "--chart-drop", values: of.over_time.map((b) => b.dropped) },
            { label: "Accepted", color: "--chart-accept", values: of.over_time.map((b) => b.accepted) },
          ],
    [of, chart],
  )
  // A point stands at the begin of its bucket, so what is not whole is drawn
  // from the point before on.
  const step = times.length > 1 ? times[1] - times[0] : 0
  const open = times.length > 2 && times[times.length - 1] + step > of.to
  return (
    <Chart label={chart === "bytes" ? "Bytes over time" : "Connections over time"} times={times} series={series} format={chart === "bytes" ? bytes : brief}
      until={open ? times[times.length - 2] : undefined} stacked onSelect={(from, to) => setQuery({ from: String(from), to: String(to) })} />
  )
}

function Figures({ of }: { of: TrafficStats }) {
  const { query } = usePlace()
  const link = (action: string) => withQuery("/log", query, { action, period: null, chart: null, from: String(of.from), to: String(of.to) })
  const p = of.previous
  return (
    <ul class="figures" aria-label="Totals, and the change from the period before">
      <Figure name="Bytes" value={bytes(of.total_bytes)} now={of.total_bytes} before={p?.total_bytes} />
      <Figure name="Connections" value={count(of.total_connections)} now={of.total_connections} before={p?.total_connections} />
      <Figure name="Accepted" value={count(of.accepted)} now={of.accepted} before={p?.accepted} href={link("accept")} tone="accept" />
      <Figure name="Dropped" value={count(of.dropped)} now={of.dropped} before={p?.dropped} href={link("drop")} tone="drop" />
      <Figure name="Rejected" value={count(of.rejected)} now={of.rejected} before={p?.rejected} href={link("reject")} tone="reject" />
      <Figure name="Threats blocked" value={count(of.threats_blocked)} now={of.threats_blocked} before={p?.threats_blocked} />
    </ul>
  )
}

function Figure(f: { name: string; value: string; now: number; before?: number; href?: string; tone?: string }) {
  const body = (
    <>
      <span class={f.tone ? `figure-name tone-${f.tone}` : "figure-name"}>{f.name}</span>
      <span class="figure-value">{f.value}</span>
      <span class="figure-change muted">{change(f.now, f.before)}</span>
    </>
  )
  return <li>{f.href ? <a href={f.href}>{body}</a> : <div>{body}</div>}</li>
}

export function change(now: number, before?: number): string {
  if (before === undefined) return "no earlier figures"
  if (before === 0) return now === 0 ? "as before" : "none before"
  const d = Math.round(((now - before) / before) * 100)
  return d === 0 ? "as before" : `${d > 0 ? "+" : "−"}${count(Math.abs(d))} % on before`
}
