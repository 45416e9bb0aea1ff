import { View } from "../ui/view"

export function Zones() {
  return <View title="Zones">…</View>
}
