// What a router was like in the last hour, as the cloud keeps it.
import { useMemo } from "preact/hooks"
import { useResource } from "../api/resource"
import type { MetricsSample } from "../api/schema"
import type { Point } from "../ui/spark"

export interface History {
  cpu: Point[]
  memory: Point[]
  connections: Point[]
  rx: (port: string) => Point[] // bytes a second
  tx: (port: string) => Point[]
  from: number // the begin of what is drawn, Unix seconds
  to: number
}

export const historyOf = (device: string) => ({ path: `/api/fleet/devices/${encodeURIComponent(device)}/metrics` })

const least = 300 // seconds that a chart is wide, also of a router that is new

export function useHistory(device: string): History {
  const list = useResource<MetricsSample[]>(historyOf(device), 20_000)
  return useMemo(() => {
    const samples = list.data ?? []
    const to = samples.at(-1)?.timestamp ?? 0
    const port = (name: string, of: "rx_rate" | "tx_rate") =>
      samples.flatMap((s): Point[] => (s.interfaces[name] ? [[s.timestamp, s.interfaces[name][of]]] : []))
    return {
      cpu: samples.map((s) => [s.timestamp, s.cpu]),
      memory: samples.map((s) => [s.timestamp, s.memory]),
      connections: samples.map((s) => [s.timestamp, s.connections]),
      rx: (name) => port(name, "rx_rate"),
      tx: (name) => port(name, "tx_rate"),
      from: Math.min(samples[0]?.timestamp ?? 0, to - least),
      to,
    }
  }, [list.data])
}
