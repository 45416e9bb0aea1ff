import { useResource } from "../api/resource"
import type { IDSConfig } from "../api/schema"
import { useFleet } from "../fleet"
import { NoRouter } from "../firewall/rules"
import { Shown } from "../ui/state"
import { View } from "../ui/view"
import { ConfigForm } from "./configform"

export function Configuration() {
  const { device, devices } = useFleet()
  const id = device?.id ?? ""
  const request = { path: "/api/ids/config", device: id }
  const config = useResource<IDSConfig>(id ? request : null)
  return (
    <View title="Inspection" narrow curl={request} about="What a router looks into, by which rules, and what becomes of what it finds.">
      {devices.data && !device ? <NoRouter /> : (
        <Shown of={config} what="intrusion detection" lines={8}>
          {(c) => <ConfigForm key={id} config={c} device={id} onSaved={config.reload} />}
        </Shown>
      )}
    </View>
  )
}
