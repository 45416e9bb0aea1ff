import { View } from "../ui/view"

export function Alerts() {
  return <View title="Alerts">…</View>
}
