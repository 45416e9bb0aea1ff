import { View } from "../ui/view"

export function Simulate() {
  return <View title="Simulate">…</View>
}
