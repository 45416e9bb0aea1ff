import { call } from "../api/client"
import { asError } from "../api/failure"
import { useResource } from "../api/resource"
import type { Device, DeviceStatus, InterfaceStatus } from "../api/schema"
import { useFleet } from "../fleet"
import { ago, bytes, count, dateTime, span, zoneName } from "../format"
import { go, setQuery, usePlace } from "../router"
import { Dot } from "../ui/badge"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Facts } from "../ui/facts"
import { Spark } from "../ui/spark"
import { Failure, Shown } from "../ui/state"
import { say } from "../ui/toast"
import { View } from "../ui/view"
import { Edit } from "./edit"
import { historyOf, useHistory, type History } from "./history"
import { tone } from "./list"

const percent = (n: number) => `${Math.round(n)} %`
const rate = (n: number) => `${bytes(n)}/s`

export function DevicePage({ id }: { id: string }) {
  const { devices } = useFleet()
  const { query } = usePlace()
  const path = `/api/fleet/devices/${encodeURIComponent(id)}`
  const device = useResource<Device>({ path })
  const status = useResource<DeviceStatus>({ path: `${path}/status` }, 5000)
  const s = status.data?.system
  const ports = s?.interfaces ?? []
  const history = useHistory(id)
  const { from, to } = history
  const remove = async () => {
    try {
      await call({ method: "DELETE", path })
      say("The router is removed; its connection is closed")
      devices.reload()
      go("/devices")
    } catch (e) {
      say(asError(e).message)
    }
  }
  return (
    <View title={device.data?.name ?? "Router"} curl={[{ path: `${path}/status` }, historyOf(id)]} about={id}
      actions={
        <>
          <Button icon="edit" disabled={!device.data} onClick={() => setQuery({ edit: "1" })}>
            Edit
          </Button>
          <Button icon="trash" onClick={() => setQuery({ remove: "1" })}>
            Remove
          </Button>
        </>
      }>
      {device.error && !device.data ? (
        <Failure error={device.error} retry={device.reload} what="router" />
      ) : (
        <Shown of={status} what="status of the router">
          {(st) => (
            <div class="stack">
              <section class="card" aria-label="Now">
                <div class="sparks">
                  <Spark label="Processor" points={history.cpu} from={from} to={to} now={s?.cpu} format={percent} max={100} />
                  <Spark label="Memory" points={history.memory} from={from} to={to} now={s?.memory} format={percent} max={100} />
                  <Spark label="Connections" points={history.connections} from={from} to={to} now={s?.connections} format={count} />
                </div>
                <p class="muted small">The last {span(Math.max(60, to - from))}, a point every 20 s.</p>
              </section>
              <div class="halves">
                <section class="card">
                  <h2>State</h2>
                  <State device={device.data} status={st} />
                </section>
                <section class="card">
                  <h2>Configuration</h2>
                  <Config status={st} />
                </section>
              </div>
              <section class="card flush" aria-labelledby="ports">
                <h2 id="ports" class="table-title">
                  Interfaces
                </h2>
                <Ports list={ports} history={history} />
              </section>
            </div>
          )}
        </Shown>
      )}
      {query.get("edit") && device.data && (
        <Edit of={device.data} onClose={() => setQuery({ edit: null })} onDone={() => (setQuery({ edit: null }, true), device.reload(), devices.reload(), say("Stored"))} />
      )}
      {query.get("remove") && (
        <Dialog title={`Remove ${device.data?.name ?? id}?`} onClose={() => setQuery({ remove: null })}
          footer={
            <>
              <Button onClick={() => setQuery({ remove: null })} autofocus>
                Keep it
              </Button>
              <Button kind="danger" onClick={() => void remove()}>
                Remove it
              </Button>
            </>
          }>
          <p>Its key stops working and its connection is closed at once. The router goes on enforcing the policy that it has.</p>
        </Dialog>
      )}
    </View>
  )
}

function State({ device, status }: { device?: Device; status: DeviceStatus }) {
  const s = status.system
  return (
    <Facts
      of={[
        ["Status", <Dot state={tone(status)} label={status.status} />],
        ["Last seen", status.last_seen ? `${ago(status.last_seen)}, ${dateTime(status.last_seen)} ${zoneName()}` : "never"],
        ["Connected since", status.connected_at ? dateTime(status.connected_at) : ""],
        ["Running for", s ? span(s.uptime) : ""],
        ["Load", s ? s.load.map((l) => l.toFixed(2)).join("  ") : ""],
        ["Temperature", s ? (s.temperature === null ? "no sensor" : `${s.temperature} °C`) : ""],
        ["WAN address", s?.wan_ip ? <span class="mono">{s.wan_ip}</span> : ""],
        ["Agent", status.agent_version],
        ["Its time zone", device?.time_zone],
        ["Location", device?.location],
        ["Tags", device?.tags.join(", ")],
        ["Notes", device?.notes],
      ]}
    />
  )
}

function Config({ status }: { status: DeviceStatus }) {
  const c = status.config
  if (!c) return <p class="muted">None yet</p>
  return (
    <>
      <Facts
        of={[
          ["State", <Dot state={c.state === "synced" ? "good" : c.state === "failed" ? "bad" : "warn"} label={c.state} />],
          ["Wanted version", c.wanted],
          ["Enforced version", c.applied],
          ["Mode", status.mode],
        ]}
      />
      {c.error && (
        <p class={c.state === "failed" ? "field-error" : "notice"}>
          {c.error.message.startsWith(`${c.error.section}:`) ? "" : `${c.error.section}: `}
          {c.error.message} {c.error.field && <code>{c.error.field}</code>}
        </p>
      )}
    </>
  )
}

function Ports({ list, history }: { list: InterfaceStatus[]; history: History }) {
  if (!list.length) return <p class="muted table-title">None reported</p>
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Table of interfaces">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col">Addresses</th>
            <th scope="col">Received</th>
            <th scope="col">Sent</th>
            <th scope="col" class="num">
              MTU
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((p) => (
            <tr key={p.name}>
              <td>
                <strong>{p.name}</strong>
                {p.mac && <small class="under mono">{p.mac}</small>}
              </td>
              <td>
                <Dot state={p.status === "up" ? "good" : p.status === "down" ? "bad" : "off"} label={p.status} />
              </td>
              <td class="mono">
                {p.ip}
                {p.ip6 && <small class="under">{p.ip6}</small>}
              </td>
              <td>
                <Spark label="in" points={history.rx(p.name)} from={history.from} to={history.to} now={p.rx_rate} format={rate} />
              </td>
              <td>
                <Spark label="out" points={history.tx(p.name)} from={history.from} to={history.to} now={p.tx_rate} format={rate} />
              </td>
              <td class="num">{p.mtu}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
