import { useResource } from "../api/resource"
import type { IDSRule } from "../api/schema"
import { useFleet } from "../fleet"
import { NoRouter } from "../firewall/rules"
import { setQuery, usePlace, withQuery } from "../router"
import { Button, IconButton } from "../ui/button"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { OwnRuleForm } from "./ownruleform"
import { useSave } from "../save"

export function OwnRules() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const request = { path: "/api/ids/rules", device: id }
  const rules = useResource<IDSRule[]>(id ? request : null)
  const save = useSave(id)
  const remove = async (r: IDSRule) => {
    if (await save.send({ method: "DELETE", path: `/api/ids/rules/${r.id}` })) rules.reload()
  }
  return (
    <View title="Own rules" curl={request} about="Rules in Suricata's language, beside those of the sources."
      actions={
        device && (
          <Button kind="primary" icon="plus" onClick={() => setQuery({ edit: "new" })}>
            New rule
          </Button>
        )
      }>
      {devices.data && !device ? <NoRouter /> : (
        <Shown of={rules} what="intrusion detection">
          {(list) => (
            <>
              {list.length === 0 ? (
                <Empty title="No rules of your own">
                  <p class="muted">A rule names the traffic that it is about, and what is looked for in it.</p>
                </Empty>
              ) : (
                <div class="scroll card flush" tabIndex={0} role="region" aria-label="Own rules">
                  <table class="rules">
                    <thead>
                      <tr>
                        <th scope="col">Name</th>
                        <th scope="col">Category</th>
                        <th scope="col" class="num">
                          sid
                        </th>
                        <th scope="col">Rule</th>
                        <th scope="col">
                          <span class="hidden">Change</span>
                        </th>
                      </tr>
                    </thead>
                    <tbody>
                      {list.map((r) => (
                        <tr key={r.id} class={r.enabled === false ? "off" : ""}>
                          <td>
                            {r.name} {r.enabled === false && <span class="badge">off</span>}
                          </td>
                          <td>{r.category}</td>
                          <td class="num">
                            <a href={withQuery("/ids", new URLSearchParams(), { signature_id: String(r.sid), device: query.get("device") })} title="Its alerts">
                              {r.sid}
                            </a>
                          </td>
                          <td class="mono rule-text">{r.rule}</td>
                          <td class="row-actions">
                            <IconButton icon="trash" label={`Delete ${r.name}`} disabled={save.busy} onClick={() => void remove(r)} />
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
              {save.note}
            </>
          )}
        </Shown>
      )}
      {query.get("edit") === "new" && device && <OwnRuleForm save={save} onClose={() => setQuery({ edit: null })} onDone={() => (setQuery({ edit: null }, true), rules.reload())} device={id} />}
    </View>
  )
}
