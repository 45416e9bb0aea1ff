import { useResource } from "../api/resource"
import type { DeviceStatus, QoSConfig, Zone } from "../api/schema"
import { useHistory } from "../devices/history"
import { bitRate, span } from "../format"
import { Shown } from "../ui/state"
import { Spark, type Point } from "../ui/spark"

// Uplinks is what the lines carry now, beside what they are said to have.
export function Uplinks({ device, config }: { device: string; config?: QoSConfig }) {
  const status = useResource<DeviceStatus>({ path: `/api/fleet/devices/${encodeURIComponent(device)}/status` }, 5000)
  const zones = useResource<Zone[]>({ path: "/api/firewall/zones", device })
  const names = zones.data?.find((z) => z.name === "WAN")?.interfaces ?? []
  const ports = (status.data?.system?.interfaces ?? []).filter((p) => names.includes(p.name))
  const history = useHistory(device)
  const { from, to } = history
  const bits = (points: Point[]): Point[] => points.map(([t, v]) => [t, v * 8])
  const of = (rate?: number) => (config?.enabled && rate ? rate * 1e6 : undefined)
  return (
    <section class="card" aria-labelledby="uplinks">
      <h2 id="uplinks">Uplinks now</h2>
      <Shown of={status} what="status of the router">
        {() =>
          ports.length === 0 ? (
            <p class="muted">{zones.data ? "No interface of zone WAN is there: nothing is shaped." : "Asking which interfaces are uplinks"}</p>
          ) : (
            <div class="stack">
              {ports.map((p) => (
                <div key={p.name} class="uplink">
                  <h3 class="mono">{p.name}</h3>
                  <div class="sparks">
                    <Spark label="Download" points={bits(history.rx(p.name))} from={from} to={to} now={p.rx_rate * 8} format={bitRate} max={of(config?.download_mbps)} />
                    <Spark label="Upload" points={bits(history.tx(p.name))} from={from} to={to} now={p.tx_rate * 8} format={bitRate} max={of(config?.upload_mbps)} />
                  </div>
                </div>
              ))}
              <p class="muted small">The last {span(Math.max(60, to - from))}{config?.enabled ? "; the top of a chart is what the line has" : ""}.</p>
            </div>
          )
        }
      </Shown>
    </section>
  )
}
