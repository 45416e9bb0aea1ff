import { View } from "../ui/view"

export function Devices() {
  return <View title="Routers">…</View>
}
