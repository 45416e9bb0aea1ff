import { useResource } from "../api/resource"
import type { QoSClass, QoSConfig, QoSDeviceLimit } from "../api/schema"
import { useFleet } from "../fleet"
import { NoRouter } from "../firewall/rules"
import { useSave } from "../save"
import { Shown } from "../ui/state"
import { View } from "../ui/view"
import { Classes } from "./classes"
import { Limits } from "./limits"
import { LinkForm } from "./linkform"
import { Uplinks } from "./uplinks"

// Shaping: how the uplinks are shared among kinds of traffic, and what single
// devices may take of them.
export function Shaping() {
  const { device, devices } = useFleet()
  const id = device?.id ?? ""
  const ask = (what: string) => ({ path: `/api/qos/${what}`, device: id })
  const config = useResource<QoSConfig>(id ? ask("config") : null)
  const classes = useResource<QoSClass[]>(id ? ask("classes") : null, 5000)
  const save = useSave(id)
  const limits = useResource<QoSDeviceLimit[]>(id ? ask("device-limits") : null)
  return (
    <View title="Shaping" curl={[ask("config"), ask("classes"), ask("device-limits")]} about="How the uplinks are shared among kinds of traffic, and what single devices may take of them.">
      {devices.data && !device ? <NoRouter /> : (
        <div class="stack">
          {save.note}
          <div class="halves">
            <Shown of={config} what="shaping" lines={6}>
              {(c) => <LinkForm key={id} config={c} save={save} onSaved={config.reload} />}
            </Shown>
            {id && <Uplinks key={id} device={id} config={config.data} />}
          </div>
          <Shown of={classes} what="classes">
            {(list) => <Classes list={list} save={save} at={classes.at} off={config.data?.enabled === false} reload={classes.reload} />}
          </Shown>
          <Shown of={limits} what="limits of devices">
            {(list) => <Limits list={list} save={save} reload={limits.reload} />}
          </Shown>
        </div>
      )}
    </View>
  )
}
