// An order as it is being drafted: by mouse, and by the arrow keys of a grip.
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { Button } from "../ui/button"
import { Icon } from "../ui/icon"
import type { Push } from "./usepush"
import type { Plan } from "./change"

interface Item {
  id: number
  name: string
}

export interface Draft<T> {
  shown: T[] // in the drafted order
  order?: number[] // none: as it is on the router
  set: (ids?: number[]) => void
}

// useDraft forgets a draft when there are other members than it was made of.
export function useDraft<T extends Item>(list: T[] | undefined): Draft<T> {
  const [order, set] = useState<number[]>()
  const ids = list?.map((r) => r.id).join()
  useEffect(() => set(undefined), [ids])
  const shown = useMemo(() => {
    if (!list || !order) return list ?? []
    return order.map((n) => list.find((r) => r.id === n)!).filter(Boolean)
  }, [list, order])
  return { shown, order, set }
}

export function DraftBar<T>({ draft, push, plan }: { draft: Draft<T>; push: Push; plan: (order: number[]) => Plan }) {
  if (!draft.order) return null
  return (
    <div class="draft-bar" role="status">
      <span>The order is changed here, not on the router.</span>
      <Button onClick={() => draft.set(undefined)}>Discard</Button>
      <Button kind="primary" busy={push.busy} onClick={() => void push.begin(plan(draft.order!))}>
        Review the new order
      </Button>
    </div>
  )
}

// useMoves makes the rows of a table movable: row and grip are what each has,
// told is read out, body is the table's.
export function useMoves<T extends Item>(list: T[], onOrder: (ids: number[]) => void) {
  const [dragged, setDragged] = useState<number>()
  const [said, tell] = useState("")
  const body = useRef<HTMLTableSectionElement>(null)

  const move = (id: number, to: number) => {
    const ids = list.map((r) => r.id)
    const from = ids.indexOf(id)
    if (from < 0 || to < 0 || to >= ids.length || from === to) return
    ids.splice(to, 0, ids.splice(from, 1)[0])
    onOrder(ids)
  }
  const byKey = (e: KeyboardEvent, r: T, i: number) => {
    const to = { ArrowUp: i - 1, ArrowDown: i + 1, Home: 0, End: list.length - 1 }[e.key]
    if (to === undefined) return
    e.preventDefault()
    if (to < 0 || to >= list.length) return
    move(r.id, to)
    tell(`${r.name} is now at place ${to + 1} of ${list.length}`)
    requestAnimationFrame(() => body.current?.querySelector<HTMLElement>(`[data-grip="${r.id}"]`)?.focus())
  }
  return {
    body,
    told: (
      <p class="hidden" aria-live="assertive">
        {said}
      </p>
    ),
    row: (r: T, i: number) => ({
      class: dragged === r.id ? "dragged" : "",
      onDragOver: (e: DragEvent) => {
        if (dragged === undefined) return
        e.preventDefault()
        if (dragged !== r.id) move(dragged, i)
      },
      onDrop: (e: DragEvent) => e.preventDefault(),
    }),
    grip: (r: T, i: number) => (
      <button type="button" class="grip" data-grip={r.id} draggable aria-label={`Move ${r.name}: place ${i + 1} of ${list.length}, arrow keys move it`}
        title="Drag, or use the arrow keys" onKeyDown={(e) => byKey(e, r, i)}
        onDragStart={(e) => {
          setDragged(r.id)
          e.dataTransfer?.setData("text/plain", r.name)
          if (e.dataTransfer) e.dataTransfer.effectAllowed = "move"
        }}
        onDragEnd={() => setDragged(undefined)}>
        <Icon name="grip" size={16} />
      </button>
    ),
  }
}
