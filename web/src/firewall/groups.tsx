import { useState } from "preact/hooks"
import { useResource } from "../api/resource"
import type { FirewallRule, Group } from "../api/schema"
import { useFleet } from "../fleet"
import { setQuery, usePlace } from "../router"
import { Button, IconButton } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { errorsOf, Field, Rest, SelectField, TextField, type Errors } from "../ui/field"
import { Empty, Shown } from "../ui/state"
import { View } from "../ui/view"
import type { Plan } from "./change"
import { NoRouter } from "./rules"
import { usePush, type Push } from "./usepush"

type Draft = Pick<Group, "name" | "type" | "members">

const plain = ({ name, type, members }: Group | Draft): Draft => ({ name, type, members })

function create(g: Draft): Plan {
  return { title: `Create the group “${g.name}”`, change: { op: "create", resource: "group", body: plain(g) }, undo: (a) => remove(a as Group) }
}

function update(old: Group, g: Draft): Plan {
  return { title: `Change the group “${g.name}”`, change: { op: "update", resource: "group", id: old.id, body: plain(g) }, undo: () => update({ ...old, ...g }, plain(old)) }
}

function remove(g: Group): Plan {
  return { title: `Delete the group “${g.name}”`, change: { op: "delete", resource: "group", id: g.id }, undo: () => create(plain(g)) }
}

export function Groups() {
  const { device, devices } = useFleet()
  const { query } = usePlace()
  const id = device?.id ?? ""
  const request = { path: "/api/firewall/groups", device: id }
  const groups = useResource<Group[]>(id ? request : null)
  const rules = useResource<FirewallRule[]>(id ? { path: "/api/firewall/rules", device: id } : null)
  const push = usePush(id, () => {
    setQuery({ edit: null }, true)
    groups.reload()
  })
  if (devices.data && !device)
    return (
      <View title="Groups">
        <NoRouter />
      </View>
    )
  const edit = query.get("edit")
  const edited = groups.data?.find((g) => String(g.id) === edit)
  const users = (g: Group) => rules.data?.filter((r) => [r.source, r.destination, r.port].some((t) => t?.split(/[,!\s]+/).includes("@" + g.name))) ?? []
  return (
    <View title="Groups" curl={request} about="Names for addresses, ports and MAC addresses. A rule writes @name."
      actions={
        <Button kind="primary" icon="plus" onClick={() => setQuery({ edit: "new" })}>
          New group
        </Button>
      }>
      <Shown of={groups} what="groups">
        {(list) =>
          list.length === 0 ? (
            <Empty title="No groups">
              <p class="muted">A group lets many rules name the same servers, and change with them.</p>
            </Empty>
          ) : (
            <div class="scroll card flush" tabIndex={0} role="region" aria-label="Groups">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">Type</th>
                    <th scope="col">Members</th>
                    <th scope="col">Used by</th>
                    <th scope="col">
                      <span class="hidden">Change</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {list.map((g) => (
                    <tr key={g.id}>
                      <td class="mono">@{g.name}</td>
                      <td>{g.type}</td>
                      <td class="mono members">{g.members.join(", ")}</td>
                      <td>{users(g).map((r) => r.name).join(", ") || <span class="muted">no rule</span>}</td>
                      <td class="row-actions">
                        <IconButton icon="edit" label={`Edit ${g.name}`} onClick={() => setQuery({ edit: String(g.id) })} />
                        <IconButton icon="trash" label={`Delete ${g.name}`} onClick={() => void push.begin(remove(g))} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Shown>
      {edit && groups.data && (edit === "new" || edited) && <GroupForm key={edit} group={edited} push={push} />}
      {push.dialog}
    </View>
  )
}

function GroupForm({ group, push }: { group?: Group; push: Push }) {
  const [name, setName] = useState(group?.name ?? "")
  const [type, setType] = useState(group?.type ?? "address")
  const [members, setMembers] = useState(group?.members.join("\n") ?? "")
  const [errors, setErrors] = useState<Errors>({})
  const close = () => setQuery({ edit: null })
  const submit = (e: Event) => {
    e.preventDefault()
    setErrors({})
    const g = { name, type, members: members.split(/[\n,]+/).map((m) => m.trim()).filter(Boolean) }
    void push.begin(group ? update(group, g) : create(g), (e) => setErrors(errorsOf(e, "change.body", "change")))
  }
  return (
    <Dialog title={group ? `Group @${group.name}` : "New group"} onClose={close}
      footer={
        <>
          <Button onClick={close}>Cancel</Button>
          <Button kind="primary" type="submit" form="group-form" busy={push.busy}>
            Review the change
          </Button>
        </>
      }>
      <form id="group-form" class="form" onSubmit={submit} noValidate>
        <Rest errors={errors} known={["name", "type", "members"]} />
        <div class="pair">
          <TextField label="Name" name="name" mono value={name} onInput={setName} errors={errors} autofocus hint="letters, digits, - and _" />
          <SelectField label="Type" name="type" value={type} onChange={setType} errors={errors} options={[["address", "addresses"], ["port", "ports"], ["mac", "MAC addresses"]]} />
        </div>
        <Field label="Members" name="members" errors={errors} hint="One on each line, or @ and another group of the same type">
          {(a) => <textarea {...a} class="mono" rows={8} value={members} spellcheck={false} onInput={(e) => setMembers(e.currentTarget.value)} />}
        </Field>
      </form>
    </Dialog>
  )
}
