import { useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { LogEntry } from "../api/schema"
import { bytes, count, dateTime, zoneName } from "../format"
import { withQuery } from "../router"
import { Action } from "../ui/badge"
import { LinkButton } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Facts } from "../ui/facts"
import { Failure, Loading } from "../ui/state"
import { decidedBy, endpoint } from "./entry"
import type { Explanation } from "./shapes"

// RowDetail is one row, whole, and why it was decided so.
export function RowDetail({ id, row, onClose }: { id: string; row?: LogEntry; onClose: () => void }) {
  return (
    <Dialog title={row ? "Row of the log" : "Why this was decided"} size="side" onClose={onClose}>
      {row && <Verdict row={row} />}
      <Why id={id} row={row} />
      {row && (
        <p class="actions">
          <LinkButton href={draft(row)} icon="plus">
            Draft a rule for this
          </LinkButton>
          <LinkButton href={again(row)} icon="simulate">
            Simulate it now
          </LinkButton>
        </p>
      )}
      {row && <Everything row={row} />}
    </Dialog>
  )
}

// draft leads to the form of a rule that would decide such flows otherwise.
function draft(r: LogEntry): string {
  const ports = r.protocol === "tcp" || r.protocol === "udp" || r.protocol === "sctp"
  return withQuery("/firewall/rules", new URLSearchParams(), {
    edit: "new", device: r.device_id, zone_from: r.zone_from, zone_to: r.zone_to, source: r.source_ip, destination: r.destination_ip, protocol: r.protocol,
    port: ports && r.destination_port ? String(r.destination_port) : null, action: r.action === "accept" ? "drop" : "accept",
  })
}

function again(r: LogEntry): string {
  return withQuery("/firewall/simulate", new URLSearchParams(), {
    device: r.device_id, in: r.interface, src: r.source_ip, dst: r.destination_ip, protocol: r.protocol, sport: r.source_port ? String(r.source_port) : null,
    dport: r.destination_port ? String(r.destination_port) : null, icmp_type: r.icmp_type === undefined ? null : String(r.icmp_type),
  })
}

function Verdict({ row }: { row: LogEntry }) {
  return (
    <p class="verdict">
      <Action action={row.action} /> <span class="mono">{endpoint(row.source_ip, row.source_port)}</span> → <span class="mono">{endpoint(row.destination_ip, row.destination_port)}</span>
    </p>
  )
}

const storing = 120 // seconds that a row may take from the router's clock into the log

function Why({ id, row }: { id: string; row?: LogEntry }) {
  // A live row is seen before it is stored: that is waited for.
  const [early, setEarly] = useState(false)
  const why = useResource<Explanation>({ path: `/api/traffic/logs/${encodeURIComponent(id)}/why` }, early ? 1500 : 0)
  const young = row !== undefined && Date.now() / 1000 - row.timestamp < storing
  const absent = why.error?.status === 404 && !why.error.missing && young
  const wait = why.data ? false : why.loading ? early : absent
  if (wait !== early) setEarly(wait)
  const known = row && (
    <Facts
      of={[
        ["Decided by", decidedBy(row)],
        ["Policy revision", row.policy_revision],
      ]}
    />
  )
  return (
    <section class="why" aria-label="Why">
      <h3>Why</h3>
      {why.data ? (
        <>
          <p class="why-text">{why.data.text}</p>
          <Facts
            of={[
              ["Policy revision", why.data.revision],
              ["Made by", why.data.author],
              ["Made at", why.data.time ? `${dateTime(why.data.time)} ${zoneName()}` : ""],
            ]}
          />
          {why.data.rule && (
            <p>
              <LinkButton href={withQuery("/firewall/rules", new URLSearchParams(), { edit: String(why.data.rule.id), device: row?.device_id })} icon="rules">
                Rule {why.data.rule.id} as it is now
              </LinkButton>
            </p>
          )}
        </>
      ) : why.error ? (
        <>
          {known}
          {absent ? <p class="muted small" role="status">The row is on its way into the log; its rule is told as soon as it is there.</p> : why.error.missing ? <p class="muted small">This server does not tell the rule's text and author yet.</p> : <Failure error={why.error} retry={why.reload} what="explanation" />}
        </>
      ) : (
        <Loading lines={3} label="Asking why" />
      )}
    </section>
  )
}

function Everything({ row }: { row: LogEntry }) {
  const only = (name: string, value: string | number) => <a href={withQuery("/log", new URLSearchParams(), { [name]: String(value) })}>{value}</a>
  return (
    <section>
      <h3>The row</h3>
      <Facts
        of={[
          ["Time", `${dateTime(row.timestamp)} ${zoneName()}`],
          ["Event", row.event],
          ["From zone", `${row.zone_from} (${row.interface})`],
          ["To zone", row.zone_to],
          ["Protocol", row.protocol],
          ["Source", <span class="mono">{only("src", row.source_ip)}{row.source_port ? ` port ${row.source_port}` : ""}</span>],
          ["Source MAC", row.source_mac && <span><span class="mono">{row.source_mac}</span>{row.source_vendor ? `, ${row.source_vendor}` : ""}</span>],
          ["Destination", <span class="mono">{only("dst", row.destination_ip)}{row.destination_port ? ` port ${row.destination_port}` : ""}</span>],
          ["Host name", row.hostname],
          ["Translated to", row.nat && <span class="mono">{endpoint(row.nat.source_ip, row.nat.source_port)} → {endpoint(row.nat.destination_ip, row.nat.destination_port)}</span>],
          ["ICMP", row.icmp_type === undefined ? "" : `type ${row.icmp_type}, code ${row.icmp_code ?? 0}`],
          ["Application", row.app && only("app", row.app)],
          ["Country", row.geo && only("geo", row.geo)],
          ["Network", row.asn === undefined ? "" : `AS${row.asn}${row.as_name ? `, ${row.as_name}` : ""}`],
          ["Threat", row.threat && only("threat", row.threat)],
          ["Since the row before", `${bytes(row.bytes)} (${bytes(row.bytes_sent)} sent, ${bytes(row.bytes_received)} received), ${count(row.packets)} ${row.packets === 1 ? "packet" : "packets"}`],
          ["Duration", row.duration_ms === undefined ? "" : `${count(row.duration_ms)} ms`],
          ["Stands for", row.count > 1 ? `${count(row.count)} flows` : ""],
          ["Flow", <span class="mono">{row.flow_id}</span>],
          ["Router", row.device_id],
        ]}
      />
    </section>
  )
}
