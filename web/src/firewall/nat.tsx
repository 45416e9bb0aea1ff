import { useResource } from "../api/resource"
import { useFleet } from "../fleet"
import { setQuery, usePlace } from "../router"
import { Button } from "../ui/button"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import { natPlans, type NatRule } from "./natplan"
import { NatForm } from "./natform"
import { NatTable } from "./nattable"
import { DraftBar, useDraft } from "./order"
import { NoRouter } from "./rules"
import { usePush } from "./usepush"

export function Nat() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const request = { path: "/api/nat/rules", device: id }
  const rules = useResource<NatRule[]>(id ? request : null, 5000)
  const kind = query.get("kind") === "other" ? "other" : "dnat"
  const draft = useDraft(rules.data)
  const push = usePush(id, () => {
    draft.set(undefined)
    setQuery({ edit: null, kind: null }, true)
    rules.reload()
  })
  if (devices.data && !device)
    return (
      <View title="NAT">
        <NoRouter />
      </View>
    )
  const edit = query.get("edit")
  const edited = rules.data?.find((r) => String(r.id) === edit)
  const open = (k: "dnat" | "other") => setQuery({ edit: "new", kind: k === "other" ? k : null })
  return (
    <View title="NAT" curl={request} about="The first that matches holds. Masquerading is set with the zone."
      actions={
        rules.data && (
          <>
            <Button icon="plus" onClick={() => open("other")}>
              New translation
            </Button>
            <Button kind="primary" icon="plus" onClick={() => open("dnat")}>
              New port forward
            </Button>
          </>
        )
      }>
      <Shown of={rules} what="NAT">
        {(list) =>
          list.length === 0 ? (
            <Empty title="No translations">
              <p class="muted">A port forward lets the outside reach a machine inside.</p>
            </Empty>
          ) : (
            <>
              <DraftBar draft={draft} push={push} plan={(order) => natPlans.reorder(list, order)} />
              <NatTable list={draft.shown} drafted={Boolean(draft.order)} onOrder={draft.set} onEdit={(r) => setQuery({ edit: String(r.id) })}
                onToggle={(r) => void push.begin(natPlans.update(r, { ...r, enabled: r.enabled === false }))} onDelete={(r) => void push.begin(natPlans.remove(r, list))} />
            </>
          )
        }
      </Shown>
      {edit && rules.data && (edit === "new" || edited) && <NatForm key={edit + kind} rule={edited} kind={kind} push={push} onClose={() => setQuery({ edit: null, kind: null })} />}
      {push.dialog}
    </View>
  )
}
