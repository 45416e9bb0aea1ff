import { useEffect, useMemo, useState } from "preact/hooks"
import { call } from "../api/client"
import { asError, type ApiError } from "../api/failure"
import { useResource } from "../api/resource"
import type { Explanation, PacketWrite, Zone } from "../api/schema"
import { useFleet } from "../fleet"
import { setQuery, usePlace, withQuery } from "../router"
import { Action } from "../ui/badge"
import { Button } from "../ui/button"
import { errorsOf, Rest, SelectField, TextField } from "../ui/field"
import { Empty, Failure, Loading } from "../ui/state"
import { View } from "../ui/view"
import { NoRouter } from "./rules"

const numbers = ["sport", "dport", "icmp_type"] as const
const names = ["in", "out", "src", "dst", "protocol", ...numbers]

// packetOf reads the packet that the address names; none before it was asked.
function packetOf(q: URLSearchParams): PacketWrite | null {
  if (!q.get("src") || !q.get("dst")) return null
  const p: Record<string, unknown> = {}
  for (const n of names) {
    const v = q.get(n)
    if (v) p[n] = (numbers as readonly string[]).includes(n) && /^\d+$/.test(v) ? Number(v) : v
  }
  return p as PacketWrite
}

// Simulate asks the router itself: the packet program that enforces the policy
// is run on the packet, which goes nowhere.
export function Simulate() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const zones = useResource<Zone[]>(id ? { path: "/api/firewall/zones", device: id } : null)
  const text = query.toString()
  const packet = useMemo(() => packetOf(query), [text])
  const [result, setResult] = useState<Explanation>()
  const [error, setError] = useState<ApiError>()
  const [round, again] = useState(0)
  const key = JSON.stringify(packet)
  const request = { method: "POST", path: "/api/firewall/simulate", device: id, body: { packet } }

  useEffect(() => {
    if (!packet || !id) return
    const stop = new AbortController()
    setResult(undefined)
    setError(undefined)
    call<Explanation>({ ...request, signal: stop.signal })
      .then(setResult)
      .catch((e) => stop.signal.aborted || setError(asError(e)))
    return () => stop.abort()
  }, [key, id, round])

  if (devices.data && !device)
    return (
      <View title="Simulate">
        <NoRouter />
      </View>
    )
  return (
    <View title="Simulate" curl={{ ...request, body: { packet: packet ?? { in: "lan", out: "wan", src: "192.0.2.10", dst: "198.51.100.1", protocol: "tcp", dport: 443 } } }} about="What would become of a packet, asked of the router that would judge it. Nothing is sent.">
      <div class="split">
        {zones.data ? <Form key={key} zones={zones.data} query={query} error={error} onSame={() => again(round + 1)} /> : zones.error ? <Failure error={zones.error} retry={zones.reload} what="zones" /> : <Loading />}
        <section aria-live="polite" aria-label="Answer" class="stack">
          {error && !error.fields.length ? (
            <Failure error={error} retry={() => again(round + 1)} what="simulation" />
          ) : result ? (
            <Answer of={result} />
          ) : packet && !error ? (
            <Loading label="Asking the router" />
          ) : (
            <Empty title="Name a packet">
              <p class="muted">The first of a flow: its addresses, its protocol, the interfaces it comes in and leaves by.</p>
            </Empty>
          )}
        </section>
      </div>
    </View>
  )
}

function Form({ zones, query, error, onSame }: { zones: Zone[]; query: URLSearchParams; error?: ApiError; onSame: () => void }) {
  const lan = zones.find((z) => z.name === "LAN")?.interfaces[0] ?? ""
  const wan = zones.find((z) => z.name === "WAN")?.interfaces[0] ?? ""
  const [p, set] = useState<Record<string, string>>(() => ({ in: lan, out: wan, protocol: "tcp", ...Object.fromEntries(names.filter((n) => query.has(n)).map((n) => [n, query.get(n)!])) }))
  const errors = errorsOf(error, "packet")
  const change = (n: string) => (v: string) => set({ ...p, [n]: v })
  const ports: [string, string][] = [...zones.flatMap((z) => z.interfaces.map((i): [string, string] => [i, `${i} (${z.name})`])), ["self", "the router (SELF)"]]
  const icmp = (p.protocol ?? "").startsWith("icmp")
  const submit = (e: Event) => {
    e.preventDefault()
    const next = { ...p, ...(icmp ? { sport: "", dport: "" } : { icmp_type: "" }) }
    if (withQuery("", query, next) === withQuery("", query, {})) onSame()
    else setQuery(next)
  }
  return (
    <form class="card form" onSubmit={submit} noValidate>
      <Rest errors={errors} known={names} />
      <div class="pair">
        <SelectField label="Comes in by" name="in" value={p.in ?? ""} onChange={change("in")} options={ports} errors={errors} />
        <SelectField label="Leaves by" name="out" value={p.out ?? ""} onChange={change("out")} options={ports} errors={errors} />
      </div>
      <TextField label="Source address" name="src" mono value={p.src ?? ""} onInput={change("src")} errors={errors} required />
      <TextField label="Destination address" name="dst" mono value={p.dst ?? ""} onInput={change("dst")} errors={errors} required />
      <SelectField label="Protocol" name="protocol" value={p.protocol ?? "tcp"} onChange={change("protocol")} options={["tcp", "udp", "icmp", "icmpv6", "gre", "esp", "ah", "sctp"]} errors={errors} />
      {icmp ? (
        <TextField label="ICMP type" name="icmp_type" value={p.icmp_type ?? ""} onInput={change("icmp_type")} errors={errors} />
      ) : (
        <div class="pair">
          <TextField label="Source port" name="sport" value={p.sport ?? ""} onInput={change("sport")} errors={errors} hint="any if empty" />
          <TextField label="Destination port" name="dport" value={p.dport ?? ""} onInput={change("dport")} errors={errors} />
        </div>
      )}
      <div>
        <Button kind="primary" type="submit" icon="simulate">
          Ask the router
        </Button>
      </div>
    </form>
  )
}

const tones: Record<string, "good" | "bad" | "warn" | "off"> = { accept: "good", drop: "bad", reject: "bad", masquerade: "warn", pass: "off" }

function Answer({ of }: { of: Explanation }) {
  return (
    <div class="card">
      <div class="card-head">
        <h2>
          <Action action={of.action} /> by {of.rule_id ? <a href={withQuery("/firewall/rules", new URLSearchParams(), { edit: String(of.rule_id) })}>rule #{of.rule_id}</a> : of.reason.replaceAll("_", " ")}
        </h2>
        <span class="muted">under policy revision {of.policy_revision}</span>
      </div>
      <ol class="stages">
        {of.stages.map((s, i) => (
          <li key={i}>
            <span class={`dot ${tones[s.result] ?? "off"}`} aria-hidden="true" />
            <span class="stage">{s.stage.replaceAll("_", " ")}</span>
            <span>{s.result}</span>
            <span class="muted">{s.reason}</span>
          </li>
        ))}
      </ol>
    </div>
  )
}
