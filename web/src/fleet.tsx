// Which routers there are, and which one the views are about: the address says
// it, else it is the only or the first one.
import { createContext, type ComponentChildren } from "preact"
import { useContext } from "preact/hooks"
import { useResource, type Resource } from "./api/resource"
import type { Device } from "./api/schema"
import { usePlace } from "./router"

interface Value {
  devices: Resource<Device[]>
  device?: Device // that configuration is shown of
  filter: string // the id that the address names, for views of all routers
}

const context = createContext<Value>(null!)

export function Fleet({ children }: { children: ComponentChildren }) {
  const devices = useResource<Device[]>({ path: "/api/fleet/devices" }, 15_000)
  const filter = usePlace().query.get("device") ?? ""
  const device = devices.data?.find((d) => d.id === filter) ?? devices.data?.[0]
  return <context.Provider value={{ devices, device, filter }}>{children}</context.Provider>
}

export const useFleet = (): Value => useContext(context)
