import { useState } from "preact/hooks"
import type { QoSConfig } from "../api/schema"
import { toWrong, type Save } from "../save"
import { Button } from "../ui/button"
import { Check, errorsOf, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { amount } from "./amount"

const schedulers: [string, string][] = [
  ["fq_codel", "fq_codel: fair among flows, short queues"],
  ["cake", "cake: fair among devices as well"],
  ["htb", "htb: plain queues, first in, first out"],
]

const isolations = ["triple-isolate", "dual-srchost", "dual-dsthost", "hosts", "flows"]

function draft(c: QoSConfig) {
  return {
    enabled: c.enabled, up: c.upload_mbps ? String(c.upload_mbps) : "", down: c.download_mbps ? String(c.download_mbps) : "", scheduler: c.scheduler ?? "fq_codel",
    isolation: c.cake_options?.isolation ?? "triple-isolate", rtt: String(c.cake_options?.rtt_ms ?? 100),
  }
}

// LinkForm is what the lines have, and whether it is shared at all.
export function LinkForm({ config, save, onSaved }: { config: QoSConfig; save: Save; onSaved: () => void }) {
  const [d, set] = useState(() => draft(config))
  const [errors, setErrors] = useState<Errors>({})
  const change = (c: Partial<typeof d>) => set({ ...d, ...c })
  const submit = (e: Event) => {
    e.preventDefault()
    const wrong: Errors = {}
    const body: Record<string, unknown> = {
      enabled: d.enabled, scheduler: d.scheduler, upload_mbps: amount(d.up || "0", "upload_mbps", wrong), download_mbps: amount(d.down || "0", "download_mbps", wrong),
    }
    // Those that this form does not show stay as they are.
    if (d.scheduler === "cake") body.cake_options = { ...config.cake_options, isolation: d.isolation, rtt_ms: amount(d.rtt, "cake_options.rtt_ms", wrong) }
    setErrors(wrong)
    if (Object.keys(wrong).length) return toWrong()
    void save.send({ method: "PUT", path: "/api/qos/config", body }, (e) => (setErrors(errorsOf(e)), toWrong())).then((stored) => stored && onSaved())
  }
  return (
    <form class="card form" onSubmit={submit} noValidate aria-label="Uplinks">
      <Rest errors={errors} known={["upload_mbps", "download_mbps", "scheduler", "cake_options"]} />
      <Check label="Shape the uplinks" hint="what crosses zone WAN; off, every packet takes the fast path" checked={d.enabled} onChange={(enabled) => change({ enabled })} />
      <div class="pair">
        <TextField label="Download (Mbit/s)" name="download_mbps" value={d.down} onInput={(down) => change({ down })} errors={errors} />
        <TextField label="Upload (Mbit/s)" name="upload_mbps" value={d.up} onInput={(up) => change({ up })} errors={errors} />
      </div>
      <p class="field-hint">Of each uplink, 5 to 10 % below what the line has: else it queues in the modem, where no class counts.</p>
      <SelectField label="Within a class" name="scheduler" value={d.scheduler} onChange={(scheduler) => change({ scheduler })} options={schedulers} errors={errors} />
      {d.scheduler === "cake" && (
        <div class="pair">
          <SelectField label="Fair among" name="cake_options.isolation" value={d.isolation} onChange={(isolation) => change({ isolation })} options={isolations} errors={errors} />
          <TextField label="Round trip (ms)" name="cake_options.rtt_ms" value={d.rtt} onInput={(rtt) => change({ rtt })} errors={errors} hint="1 to 1000, of a usual far peer" />
        </div>
      )}
      <p class="actions">
        <Button kind="primary" type="submit" busy={save.busy}>
          Save
        </Button>
        <Button onClick={() => (set(draft(config)), setErrors({}))}>Discard</Button>
      </p>
    </form>
  )
}
