import { useResource } from "../api/resource"
import type { AlertStats } from "../api/schema"
import { count } from "../format"
import { usePlace, withQuery } from "../router"
import { Shown } from "../ui/state"

// Summary is the last day in figures, each a link that filters.
export function Summary({ device }: { device: string }) {
  const { query } = usePlace()
  const stats = useResource<AlertStats>({ path: "/api/ids/alerts/stats", query: { period: "24h", device_id: device } }, 60_000)
  return (
    <Shown of={stats} what="statistics of alerts" lines={3}>
      {(s) => (
        <ul class="figures" aria-label="The last 24 hours">
          <Figure name="Alerts in 24 h" value={s.total} />
          <Figure name="Blocked" value={s.blocked} href={withQuery("/ids", query, { action: "blocked", cursor: null })} tone="drop" />
          {s.by_severity.map((v) => (
            <Figure key={v.severity} name={v.severity[0].toUpperCase() + v.severity.slice(1)} value={v.count} href={withQuery("/ids", query, { severity: v.severity, cursor: null })} />
          ))}
        </ul>
      )}
    </Shown>
  )
}

function Figure({ name, value, href, tone }: { name: string; value: number; href?: string; tone?: string }) {
  const body = (
    <>
      <span class={tone ? `figure-name tone-${tone}` : "figure-name"}>{name}</span>
      <span class="figure-value">{count(value)}</span>
    </>
  )
  return <li>{href ? <a href={href}>{body}</a> : <div>{body}</div>}</li>
}
