import { useState } from "preact/hooks"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Check, errorsOf, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { natPlans, plain, type NatDraft, type NatRule } from "./natplan"
import type { Push } from "./usepush"

const known = ["name", "nat_type", "protocol", "source", "source_port", "destination", "destination_port", "translate_to", "translate_port", "interface", "hairpin", "log", "enabled"]
const types: [string, string][] = [["dnat", "dnat: a new destination"], ["snat", "snat: a new source"], ["1:1", "1:1: one address for another"], ["masquerade", "masquerade: the router's source"], ["netmap", "netmap: prefix for prefix"]]

// NatForm edits a translation; a port forward is the short way to the common one.
export function NatForm({ rule, kind, push, onClose }: { rule?: NatRule; kind: "dnat" | "other"; push: Push; onClose: () => void }) {
  const [r, set] = useState<NatDraft>(rule ? plain(rule) : { name: "", enabled: true, nat_type: kind === "dnat" ? "dnat" : "snat", protocol: "tcp", destination: kind === "dnat" ? "self" : "any", source: "any", hairpin: true, log: false })
  const [errors, setErrors] = useState<Errors>({})
  const short = !rule && kind === "dnat"
  const text = (name: keyof NatDraft) => ({ name, value: String(r[name] ?? ""), onInput: (v: string) => set({ ...r, [name]: v }), errors })
  const submit = (e: Event) => {
    e.preventDefault()
    setErrors({})
    void push.begin(rule ? natPlans.update(rule, plain(r)) : natPlans.create(plain(r)), (e) => setErrors(errorsOf(e, "change.body", "change")))
  }
  return (
    <Dialog title={rule ? `Translation ${rule.id}` : short ? "New port forward" : "New translation"} onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="nat-form" busy={push.busy}>
            Review the change
          </Button>
        </>
      }>
      <form id="nat-form" class="form" onSubmit={submit} noValidate>
        <Rest errors={errors} known={known} />
        <TextField label="Name" {...text("name")} autofocus />
        {!short && <SelectField label="Type" name="nat_type" value={r.nat_type ?? "dnat"} onChange={(nat_type) => set({ ...r, nat_type })} options={types} errors={errors} />}
        <div class="pair">
          <SelectField label="Protocol" name="protocol" value={r.protocol ?? "all"} onChange={(protocol) => set({ ...r, protocol })} options={["tcp", "udp", "tcp+udp", "all"]} errors={errors} />
          <TextField label={short ? "Port outside" : "Destination port"} mono {...text("destination_port")} />
        </div>
        {!short && (
          <div class="pair">
            <TextField label="Source" mono {...text("source")} />
            <TextField label="Destination" mono {...text("destination")} />
          </div>
        )}
        <div class="pair">
          <TextField label={short ? "Machine inside" : "Becomes"} mono {...text("translate_to")} />
          <TextField label={short ? "Its port" : "Port becomes"} mono {...text("translate_port")} hint="empty: the same" />
        </div>
        <TextField label="Interface" mono {...text("interface")} hint={short ? "that the outside comes in by; empty: any of WAN" : "optional"} />
        <Check label="Also from inside" hint="by the outside address (hairpin)" checked={r.hairpin !== false} onChange={(hairpin) => set({ ...r, hairpin })} />
        <Check label="Log" checked={Boolean(r.log)} onChange={(log) => set({ ...r, log })} />
        <Check label="Enabled" checked={r.enabled !== false} onChange={(enabled) => set({ ...r, enabled })} />
      </form>
    </Dialog>
  )
}
