import { View } from "../ui/view"

export function DevicePage({ id }: { id: string }) {
  return <View title="Router">{id}</View>
}
