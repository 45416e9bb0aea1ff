// Rankings. Each row is a link that filters by it.
import { useMemo } from "preact/hooks"
import { useResource } from "../api/resource"
import { bytes, count } from "../format"
import { usePlace, withQuery } from "../router"
import { Shown } from "../ui/state"
import { change } from "./overview"

interface Row {
  key: string
  text: string
  more?: string
  filter: [string, string]
  value: number
  before?: number
}

interface Previous {
  bytes?: number
  connections?: number
  rx_bytes?: number
  tx_bytes?: number
}

interface Top {
  path: string
  title: string
  what: string
  unit: (n: number) => string
  row: (r: Record<string, unknown> & { previous?: Previous }) => Row
}

const text = (v: unknown) => (v === undefined || v === null ? "" : String(v))
const num = (v: unknown) => Number(v ?? 0)

const tops: Top[] = [
  {
    path: "clients", title: "Clients", what: "ranking of clients", unit: bytes,
    row: (r) => ({
      key: text(r.ip), text: text(r.hostname) || text(r.ip), more: r.hostname ? text(r.ip) : text(r.mac), filter: ["src", text(r.ip)],
      value: num(r.rx_bytes) + num(r.tx_bytes), before: r.previous && num(r.previous.rx_bytes) + num(r.previous.tx_bytes),
    }),
  },
  {
    path: "destinations", title: "Destinations", what: "ranking of destinations", unit: bytes,
    row: (r) => ({ key: text(r.ip), text: text(r.hostname) || text(r.ip), more: r.hostname ? text(r.ip) : text(r.geo), filter: ["dst", text(r.ip)], value: num(r.bytes), before: r.previous?.bytes }),
  },
  {
    path: "applications", title: "Applications", what: "ranking of applications", unit: bytes,
    row: (r) => ({ key: text(r.app), text: text(r.app), filter: ["app", text(r.app)], value: num(r.bytes), before: r.previous?.bytes }),
  },
  {
    path: "countries", title: "Countries", what: "ranking of countries", unit: bytes,
    row: (r) => ({ key: text(r.country_code), text: text(r.country_name) || text(r.country_code), more: text(r.country_code), filter: ["geo", text(r.country_code)], value: num(r.bytes), before: r.previous?.bytes }),
  },
  {
    path: "rules", title: "Rules", what: "ranking of rules", unit: (n) => `${count(n)} conn.`,
    row: (r) => ({
      key: `${text(r.device_id)}/${text(r.rule_id)}`, text: text(r.rule_name) || `rule ${text(r.rule_id)}`, more: `#${text(r.rule_id)}`, filter: ["rule_id", text(r.rule_id)],
      value: num(r.connections), before: r.previous?.connections,
    }),
  },
  {
    path: "threats", title: "Threats", what: "ranking of threats", unit: (n) => `${count(n)} conn.`,
    row: (r) => ({ key: text(r.threat), text: text(r.threat), more: `${count(num(r.blocked))} blocked`, filter: ["threat", text(r.threat)], value: num(r.connections), before: r.previous?.connections }),
  },
]

export function Tops({ span, filter }: { span: URLSearchParams; filter: URLSearchParams }) {
  return (
    <div class="tops">
      {tops.map((t) => (
        <TopCard key={t.path} top={t} span={span} filter={filter} />
      ))}
    </div>
  )
}

function TopCard({ top, span }: { top: Top; span: URLSearchParams; filter: URLSearchParams }) {
  const { query } = usePlace()
  const asked = useMemo(() => {
    const q = new URLSearchParams(span)
    q.set("limit", "6")
    q.set("compare", "previous")
    return q
  }, [span])
  const list = useResource<Record<string, unknown>[]>({ path: `/api/traffic/top/${top.path}`, query: asked }, 30_000)
  return (
    <section class="card top" aria-labelledby={`top-${top.path}`}>
      <h2 id={`top-${top.path}`}>{top.title}</h2>
      <Shown of={list} what={top.what} lines={4}>
        {(data) => {
          const rows = data.map(top.row)
          const most = Math.max(1, ...rows.map((r) => r.value))
          if (!rows.length) return <p class="muted none">None in this period</p>
          return (
            <ol>
              {rows.map((r) => (
                <li key={r.key}>
                  <a href={withQuery("/", query, { [r.filter[0]]: r.filter[1] })} title={`Show only ${r.text}`}>
                    <span class="top-name">
                      {r.text} {r.more && r.more !== r.text && <small class="muted">{r.more}</small>}
                    </span>
                    <span class="num">{top.unit(r.value)}</span>
                    <span class="top-bar" aria-hidden="true">
                      <span style={{ width: `${(r.value / most) * 100}%` }} />
                    </span>
                    {Boolean(r.before) && <small class="muted top-change">{change(r.value, r.before)}</small>}
                  </a>
                </li>
              ))}
            </ol>
          )
        }}
      </Shown>
    </section>
  )
}
