import { useState } from "preact/hooks"
import type { FirewallRule, FirewallRuleWrite, Group, Schedule, Zone } from "../api/schema"
import { useResource } from "../api/resource"
import { Button } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Check, errorsOf, Field, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { body, plans } from "./ruleplan"
import { ScheduleFields } from "./scheduleform"
import type { Push } from "./usepush"

interface Props {
  rule?: FirewallRule // none: a new one
  rules: FirewallRule[]
  zones: Zone[]
  device: string
  push: Push
  prefill: URLSearchParams
  onClose: () => void
}

const protocols = ["all", "tcp", "udp", "tcp+udp", "icmp", "icmpv6", "gre", "esp", "ah", "sctp"]
const withPorts = new Set(["tcp", "udp", "tcp+udp", "sctp"])
const known = ["name", "zone_from", "zone_to", "source", "destination", "protocol", "port", "icmp_types", "action", "schedule", "before"]

function fresh(q: URLSearchParams): FirewallRuleWrite {
  return {
    name: "", enabled: true, zone_from: q.get("zone_from") ?? "LAN", zone_to: q.get("zone_to") ?? "WAN", source: q.get("source") ?? "any",
    destination: q.get("destination") ?? "any", protocol: q.get("protocol") ?? "all", port: q.get("port") ?? "*", icmp_types: [], action: q.get("action") ?? "drop", log: false,
  }
}

export function RuleForm({ rule, rules, zones, device, push, prefill, onClose }: Props) {
  const [r, set] = useState<FirewallRuleWrite>(() => (rule ? body(rule) : fresh(prefill)))
  const [before, setBefore] = useState("")
  const [errors, setErrors] = useState<Errors>({})
  const groups = useResource<Group[]>({ path: "/api/firewall/groups", device })
  const change = (c: Partial<FirewallRuleWrite>) => set({ ...r, ...c })
  const names = [...zones.map((z) => z.name), "any"]
  const protocol = r.protocol ?? "all"

  const submit = (e: Event) => {
    e.preventDefault()
    setErrors({})
    const clean = { ...r, port: withPorts.has(protocol) ? r.port : "*", icmp_types: protocol.startsWith("icmp") ? r.icmp_types : [] }
    const plan = rule ? plans.update(rule, clean) : plans.create(clean, before ? Number(before) : undefined)
    void push.begin(plan, (error) => {
      setErrors(errorsOf(error, "change.body", "change"))
      requestAnimationFrame(() => document.querySelector<HTMLElement>('dialog [aria-invalid="true"]')?.focus())
    })
  }
  return (
    <Dialog title={rule ? `Rule ${rule.id}` : "New rule"} onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" form="rule-form" busy={push.busy}>
            {push.busy ? "Comparing" : "Review the change"}
          </Button>
        </>
      }>
      <form id="rule-form" class="form" onSubmit={submit} noValidate>
        <Rest errors={errors} known={known} />
        <TextField label="Name" name="name" value={r.name ?? ""} onInput={(name) => change({ name })} errors={errors} autofocus />
        <div class="pair">
          <SelectField label="From zone" name="zone_from" value={r.zone_from ?? ""} onChange={(zone_from) => change({ zone_from })} options={names} errors={errors} />
          <SelectField label="To zone" name="zone_to" value={r.zone_to ?? ""} onChange={(zone_to) => change({ zone_to })} options={names} errors={errors} />
        </div>
        <div class="pair">
          <TextField label="Source" name="source" mono value={r.source ?? ""} onInput={(source) => change({ source })} errors={errors} hint="any, an address, CIDR, range, @group; lists with commas, ! in front negates" />
          <TextField label="Destination" name="destination" mono value={r.destination ?? ""} onInput={(destination) => change({ destination })} errors={errors}
            hint={groups.data?.length ? `Groups: ${groups.data.map((g) => "@" + g.name).join(", ")}` : "written as the source"} />
        </div>
        <div class="pair">
          <SelectField label="Protocol" name="protocol" value={protocol} onChange={(p) => change({ protocol: p })} options={protocols.includes(protocol) ? protocols : [...protocols, protocol]} errors={errors} />
          {withPorts.has(protocol) && <TextField label="Destination port" name="port" mono value={r.port ?? ""} onInput={(port) => change({ port })} errors={errors} hint="*, 443, 8000-8080, @group; lists with commas" />}
          {protocol.startsWith("icmp") && (
            <TextField label="ICMP types" name="icmp_types" mono value={(r.icmp_types ?? []).join(",")} onInput={(t) => change({ icmp_types: t.split(",").map((x) => x.trim()).filter(Boolean) })} errors={errors} hint="8 or 3/4, with commas; empty: all" />
          )}
        </div>
        <div class="pair">
          <SelectField label="Action" name="action" value={r.action ?? "drop"} onChange={(action) => change({ action })} errors={errors}
            options={[["accept", "accept: let it pass"], ["drop", "drop: without an answer"], ["reject", "reject: tell the sender"]]} />
          {!rule && (
            <SelectField label="Place" name="before" value={before} onChange={setBefore} errors={errors} options={[["", "last"], ...rules.map((x): [string, string] => [String(x.id), `before “${x.name}”`])]} />
          )}
        </div>
        <Field label="More" name="more">
          {({ id }) => (
            <div class="stack" id={id as string} role="group">
              <Check label="Enabled" checked={r.enabled !== false} onChange={(enabled) => change({ enabled })} />
              <Check label="Log" hint="each flow that it decides" checked={Boolean(r.log)} onChange={(log) => change({ log })} />
            </div>
          )}
        </Field>
        <ScheduleFields value={r.schedule as Schedule | undefined} onChange={(schedule) => change({ schedule })} errors={errors} />
      </form>
    </Dialog>
  )
}
