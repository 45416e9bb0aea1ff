import { View } from "../ui/view"

export function Policies() {
  return <View title="Policies">…</View>
}
