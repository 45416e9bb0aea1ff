import { useResource } from "../api/resource"
import { useFleet } from "../fleet"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"

// The alerts' view comes with the alerts' API; until a server has it, this says
// so and shows nothing in its place.
export function Alerts() {
  const { filter } = useFleet()
  const request = { path: "/api/ids/alerts", query: { limit: 50, device_id: filter } }
  const alerts = useResource<{ total: number }>(request)
  return (
    <View title="Alerts" curl={request} about="What the intrusion detection found in the traffic.">
      <Shown of={alerts} what="intrusion detection">
        {(a) => (
          <Empty title={`${a.total} alerts`}>
            <p class="muted">These pages do not show alerts yet: take them from the API.</p>
          </Empty>
        )}
      </Shown>
    </View>
  )
}
