import { useResource } from "../api/resource"
import type { Finding, FirewallRule, Zone } from "../api/schema"
import { useFleet } from "../fleet"
import { go, setQuery, usePlace, withQuery } from "../router"
import { Button } from "../ui/button"
import { Empty, Failure, Shown } from "../ui/state"
import { View } from "../ui/view"
import { DraftBar, useDraft } from "./order"
import { plans } from "./ruleplan"
import { RuleForm } from "./ruleform"
import { RuleTable } from "./ruletable"
import { usePush } from "./usepush"

export function Rules() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const request = { path: "/api/firewall/rules", device: id }
  const rules = useResource<FirewallRule[]>(id ? request : null, 3000)
  const zones = useResource<Zone[]>(id ? { path: "/api/firewall/zones", device: id } : null)
  const check = useResource<Finding[]>(id ? { method: "POST", path: "/api/firewall/check", device: id, body: {} } : null)
  const draft = useDraft(rules.data)
  const push = usePush(id, () => {
    draft.set(undefined)
    setQuery({ edit: null, source: null, destination: null, zone_from: null, zone_to: null, protocol: null, port: null, action: null }, true)
    rules.reload()
    check.reload()
  })

  if (devices.data && !device)
    return (
      <View title="Rules">
        <NoRouter />
      </View>
    )
  const edit = query.get("edit")
  const edited = rules.data?.find((r) => String(r.id) === edit)
  return (
    <View title="Rules" curl={request} about="The first rule that matches decides; where none does, the zones' policy."
      actions={
        <Button kind="primary" icon="plus" onClick={() => setQuery({ edit: "new" })}>
          New rule
        </Button>
      }>
      {check.error && !check.data && <Failure error={check.error} retry={check.reload} what="check of the rules" />}
      <Shown of={rules} what="rules">
        {() =>
          draft.shown.length === 0 ? (
            <Empty title="No rules">
              <p class="muted">The zones' policies decide everything. A rule makes an exception: for an address, a port, a time.</p>
              <a href={withQuery("/firewall/policies", query, { edit: null })}>See the policies</a>
            </Empty>
          ) : (
            <>
              <DraftBar draft={draft} push={push} plan={(order) => plans.reorder(rules.data!, order)} />
              <RuleTable rules={draft.shown} findings={check.data ?? []} drafted={Boolean(draft.order)} onOrder={draft.set}
                onEdit={(r) => setQuery({ edit: String(r.id) })}
                onToggle={(r) => void push.begin(plans.update(r, { ...r, enabled: r.enabled === false }))}
                onDelete={(r) => void push.begin(plans.remove(r, rules.data!))} />
            </>
          )
        }
      </Shown>
      {edit && rules.data && zones.data && (edit === "new" || edited) && (
        <RuleForm key={edit} rule={edited} rules={rules.data} zones={zones.data} device={id} push={push} prefill={query} onClose={() => setQuery({ edit: null })} />
      )}
      {edit && edit !== "new" && rules.data && !edited && (
        <Empty title={`There is no rule ${edit} any more`}>
          <Button onClick={() => go(withQuery("/firewall/rules", query, { edit: null }))}>Show the rules</Button>
        </Empty>
      )}
      {push.dialog}
    </View>
  )
}

// NoRouter stands where there is nothing to configure yet.
export function NoRouter() {
  return (
    <Empty title="No router yet">
      <p class="muted">A policy is a router's. Register one first.</p>
      <a class="button primary" href="/devices?register=1">
        Register a router
      </a>
    </Empty>
  )
}
