import { useResource } from "../api/resource"
import type { IDSSuppression } from "../api/schema"
import { useFleet } from "../fleet"
import { NoRouter } from "../firewall/rules"
import { dateTime, useZone } from "../format"
import { setQuery, usePlace, withQuery } from "../router"
import { Button, IconButton } from "../ui/button"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { useSave } from "../save"
import { SuppressionForm, tracks } from "./suppressionform"

export function Suppressions() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  useZone()
  const id = device?.id ?? ""
  const request = { path: "/api/ids/suppressions", device: id }
  const suppressions = useResource<IDSSuppression[]>(id ? request : null)
  const save = useSave(id)
  const remove = async (s: IDSSuppression) => {
    if (await save.send({ method: "DELETE", path: `/api/ids/suppressions/${s.id}` })) suppressions.reload()
  }
  return (
    <View title="Suppressions" curl={request} about="Alerts that are not told: all of a signature, or those of an address."
      actions={
        device && (
          <Button kind="primary" icon="plus" onClick={() => setQuery({ edit: "new" })}>
            New suppression
          </Button>
        )
      }>
      {devices.data && !device ? <NoRouter /> : (
        <Shown of={suppressions} what="intrusion detection">
          {(list) => (
            <>
              {list.length === 0 ? (
                <Empty title="No suppressions">
                  <p class="muted">An alert's detail offers to suppress its signature, or its source.</p>
                </Empty>
              ) : (
                <div class="scroll card flush" tabIndex={0} role="region" aria-label="Suppressions">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">Signature</th>
                        <th scope="col">Alerts</th>
                        <th scope="col">Reason</th>
                        <th scope="col">Since</th>
                        <th scope="col">
                          <span class="hidden">Change</span>
                        </th>
                      </tr>
                    </thead>
                    <tbody>
                      {list.map((s) => (
                        <tr key={s.id}>
                          <td>
                            <a href={withQuery("/ids", new URLSearchParams(), { signature_id: String(s.sid), device: query.get("device") })}>{s.sid}</a>
                            {s.gid && s.gid !== 1 ? <small class="muted"> gid {s.gid}</small> : null}
                          </td>
                          <td>
                            {tracks[s.track ?? ""] ?? s.track} <span class="mono">{s.ip}</span>
                          </td>
                          <td class="members">{s.reason ?? <span class="muted">none given</span>}</td>
                          <td class="nowrap">{dateTime(s.created_at)}</td>
                          <td class="row-actions">
                            <IconButton icon="trash" label={`Delete the suppression of ${s.sid}${s.ip ? ` for ${s.ip}` : ""}`} disabled={save.busy} onClick={() => void remove(s)} />
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
      {query.get("edit") === "new" && device && <SuppressionForm save={save} start={{}} onClose={() => setQuery({ edit: null })} onDone={() => (setQuery({ edit: null }, true), suppressions.reload())} />}
    </View>
  )
}
