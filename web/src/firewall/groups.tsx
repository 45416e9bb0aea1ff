import { View } from "../ui/view"

export function Groups() {
  return <View title="Groups">…</View>
}
