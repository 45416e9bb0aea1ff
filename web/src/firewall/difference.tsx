import { useState } from "preact/hooks"
import type { ActionChange } from "../api/schema"
import { count } from "../format"
import { Action } from "../ui/badge"
import { Button } from "../ui/button"
import { boxText, decider, packetText, zonesText } from "./change"

const first = 8

// Difference tells which packets are decided otherwise.
export function Difference({ of }: { of: ActionChange[] }) {
  const [all, setAll] = useState(false)
  return (
    <section aria-labelledby="difference">
      <h3 id="difference">What changes for packets</h3>
      {of.length === 0 ? (
        <p>No packet is decided otherwise. The change is about names, order or logging alone, or other rules decide before.</p>
      ) : (
        <>
          <p class="muted">
            {of.length === 1 ? "One set of packets gets" : `${count(of.length)} sets of packets get`} another action; all others keep theirs.
          </p>
          <ul class="changes">
            {(all ? of : of.slice(0, first)).map((c, i) => (
              <li key={i}>
                <p class="change-head">
                  <Action action={c.from} /> <span aria-hidden="true">→</span>
                  <span class="hidden">becomes</span> <Action action={c.to} /> <strong>{c.box && zonesText(c.box)}</strong>
                </p>
                {c.box && <p>{boxText(c.box)}</p>}
                <p class="muted small">
                  For example <span class="mono">{packetText(c.witness)}</span>: {decider(c, "from")} decides now, {decider(c, "to")} afterwards.
                </p>
              </li>
            ))}
          </ul>
          {of.length > first && !all && <Button onClick={() => setAll(true)}>Show the other {count(of.length - first)}</Button>}
        </>
      )}
    </section>
  )
}
