import type { IdsAlert } from "../api/schema"
import { say } from "../ui/toast"
import { useSave } from "../save"
import { SuppressionForm } from "./suppressionform"

// SuppressAlert takes an alert for the beginning of a suppression, on the router
// that told it.
export function SuppressAlert({ alert: a, by, onClose }: { alert: IdsAlert; by: string; onClose: () => void }) {
  const save = useSave(a.device_id)
  const done = () => {
    say(by === "source" ? `Suppressed: ${a.signature_id} from ${a.source_ip}` : `Suppressed: ${a.signature_id}`)
    onClose()
  }
  const gid = Number(a.metadata.gid) || undefined
  return <SuppressionForm save={save} signature={a.signature} onClose={onClose} onDone={done} start={{ sid: a.signature_id, gid, ...(by === "source" ? { track: "by_src", ip: a.source_ip } : {}) }} />
}
