import { useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { IDSCategory, IDSConfig } from "../api/schema"
import { useFleet } from "../fleet"
import { NoRouter } from "../firewall/rules"
import { count } from "../format"
import { withQuery } from "../router"
import { Segmented } from "../ui/segmented"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { useSave } from "../save"

type Mode = "detect" | "prevent" | "disabled"

const modes: { value: Mode; text: string }[] = [{ value: "disabled", text: "Off" }, { value: "detect", text: "Detect" }, { value: "prevent", text: "Prevent" }]

export function Categories() {
  const { device, devices } = useFleet()
  const id = device?.id ?? ""
  const request = { path: "/api/ids/categories", device: id }
  const categories = useResource<IDSCategory[]>(id ? request : null, 2000)
  const config = useResource<IDSConfig>(id ? { path: "/api/ids/config", device: id } : null)
  const save = useSave(id)
  const [asked, ask] = useState<Record<string, Mode>>({}) // while it is being stored
  const choose = async (c: IDSCategory, mode: Mode) => {
    ask((a) => ({ ...a, [c.id]: mode }))
    await save.send({ method: "PUT", path: `/api/ids/categories/${c.id}`, body: { mode } })
    categories.reload()
  }
  const mode = (c: IDSCategory) => (c.mode ?? "detect") as Mode
  // What was chosen shows until the server says the same, or that it failed.
  const shown = (c: IDSCategory) => (save.busy ? (asked[c.id] ?? mode(c)) : mode(c))
  return (
    <View title="Categories" curl={request} about="What each kind of rule does. The counts are of the rules that the router has loaded.">
      {devices.data && !device ? <NoRouter /> : (
        <Shown of={categories} what="intrusion detection" lines={8}>
          {(list) =>
            list.length === 0 ? <Empty title="No categories" /> : (
              <>
                {config.data && !config.data.enabled && (
                  <p class="notice">
                    Nothing is inspected. <a href={withQuery("/ids/config", new URLSearchParams(), { device: id })}>Switch the inspection on</a>
                  </p>
                )}
                {config.data?.enabled && config.data.mode !== "prevent" && list.some((c) => mode(c) === "prevent") && (
                  <p class="notice">The inspection as a whole detects: nothing is dropped, whatever a category says.</p>
                )}
                <div class="scroll card flush" tabIndex={0} role="region" aria-label="Categories">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">Category</th>
                        <th scope="col" class="num">
                          Rules
                        </th>
                        <th scope="col">Mode</th>
                      </tr>
                    </thead>
                    <tbody>
                      {list.map((c) => (
                        <tr key={c.id}>
                          <td>
                            <strong>{c.name}</strong>
                            <small class="under">{c.description}</small>
                          </td>
                          <td class="num">{count(c.rule_count)}</td>
                          <td class="nowrap">
                            <Segmented label={`Mode of ${c.name}`} options={modes} value={shown(c)} onChange={(m) => void choose(c, m)} />
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
                {save.note}
              </>
            )
          }
        </Shown>
      )}
    </View>
  )
}
