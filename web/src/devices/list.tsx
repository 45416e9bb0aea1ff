import type { Device } from "../api/schema"
import { useFleet } from "../fleet"
import { ago } from "../format"
import { setQuery, usePlace } from "../router"
import { Dot } from "../ui/badge"
import { Button } from "../ui/button"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { Register } from "./register"

export const tone = (d: { status: string }) => (d.status === "online" ? "good" : d.status === "error" ? "bad" : d.status === "offline" ? "off" : "warn")

export function Devices() {
  const { devices } = useFleet()
  const { query } = usePlace()
  return (
    <View title="Routers" curl={{ path: "/api/fleet/devices" }}
      actions={
        <Button kind="primary" icon="plus" onClick={() => setQuery({ register: "1" })}>
          Register a router
        </Button>
      }>
      <Shown of={devices} what="list of routers">
        {(list) =>
          list.length === 0 ? (
            <Empty title="No routers">
              <p class="muted">Register one here, then give its key to the agent on it.</p>
            </Empty>
          ) : (
            <Table list={list} />
          )
        }
      </Shown>
      {query.get("register") && <Register onClose={() => (setQuery({ register: null }), devices.reload())} />}
    </View>
  )
}

function Table({ list }: { list: Device[] }) {
  return (
    <div class="scroll card flush" tabIndex={0} role="region" aria-label="Routers">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Status</th>
            <th scope="col">Last seen</th>
            <th scope="col">Mode</th>
            <th scope="col">Model</th>
            <th scope="col">Agent</th>
            <th scope="col">Tags</th>
          </tr>
        </thead>
        <tbody>
          {list.map((d) => (
            <tr key={d.id}>
              <td>
                <a href={`/devices/${encodeURIComponent(d.id)}`}>{d.name}</a>
                {d.location && <small class="under">{d.location}</small>}
              </td>
              <td>
                <Dot state={tone(d)} label={d.status} />
              </td>
              <td>{d.last_seen ? ago(d.last_seen) : <span class="muted">never</span>}</td>
              <td>{d.mode}</td>
              <td>{d.model}</td>
              <td>{d.firmware_version || <span class="muted">unknown</span>}</td>
              <td>{d.tags.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
