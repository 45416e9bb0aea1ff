import { View } from "../ui/view"

export function Nat() {
  return <View title="NAT">…</View>
}
