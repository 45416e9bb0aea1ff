import { View } from "../ui/view"

export function Rules() {
  return <View title="Rules">…</View>
}
