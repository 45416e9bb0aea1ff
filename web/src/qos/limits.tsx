import type { QoSDeviceLimit } from "../api/schema"
import { setQuery, usePlace } from "../router"
import type { Save } from "../save"
import { Button, IconButton } from "../ui/button"
import { LimitForm } from "./limitform"
import { mbps } from "./amount"

export function Limits({ list, save, reload }: { list: QoSDeviceLimit[]; save: Save; reload: () => void }) {
  const { query } = usePlace()
  const edit = query.get("limit")
  const edited = list.find((l) => l.mac === edit)
  const remove = async (l: QoSDeviceLimit) => {
    if (await save.send({ method: "DELETE", path: `/api/qos/device-limits/${l.mac}` })) reload()
  }
  return (
    <section class="card flush" aria-labelledby="limits">
      <div class="card-head table-title">
        <h2 id="limits">Limits of devices</h2>
        <Button icon="plus" onClick={() => setQuery({ limit: "new" })}>
          New limit
        </Button>
      </div>
      {list.length === 0 ? (
        <p class="muted table-none">No device is limited. A limit goes by MAC address and bounds what the device takes of the uplinks.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of limits">
          <table>
            <thead>
              <tr>
                <th scope="col">Device</th>
                <th scope="col" class="num">Download</th>
                <th scope="col" class="num">Upload</th>
                <th scope="col" class="num">Priority</th>
                <th scope="col">
                  <span class="hidden">Change</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((l) => (
                <tr key={l.mac}>
                  <td>
                    <span class="mono">{l.mac}</span>
                    {l.hostname && <small class="under">{l.hostname}</small>}
                  </td>
                  <td class="num nowrap">{mbps(l.download_mbps) || <span class="muted">no limit</span>}</td>
                  <td class="num nowrap">{mbps(l.upload_mbps) || <span class="muted">no limit</span>}</td>
                  <td class="num">{l.priority ?? <span class="muted">4</span>}</td>
                  <td class="row-actions">
                    <IconButton icon="edit" label={`Edit the limit of ${l.mac}`} onClick={() => setQuery({ limit: l.mac })} />
                    <IconButton icon="trash" label={`Delete the limit of ${l.mac}`} disabled={save.busy} onClick={() => void remove(l)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {edit && (edit === "new" || edited) && (
        <LimitForm key={edit} of={edited} mac={query.get("mac") ?? ""} save={save} onClose={() => setQuery({ limit: null, mac: null })} onDone={() => (setQuery({ limit: null, mac: null }, true), reload())} />
      )}
    </section>
  )
}
