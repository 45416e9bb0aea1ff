import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import { useFleet } from "../fleet"
import { count, some, zoneName, useZone } from "../format"
import { setQuery, usePlace } from "../router"
import { Dot } from "../ui/badge"
import { Button } from "../ui/button"
import { Empty } from "../ui/state"
import { View } from "../ui/view"
import { RowDetail } from "./detail"
import { liveFilter, useFilter } from "./filter"
import { FilterBar } from "./filterbar"
import { Ring } from "./ring"
import { rowOf, Stream, type StreamState } from "./stream"
import { LiveTable } from "./livetable"

const most = 100_000
const drawEvery = 150 // milliseconds: what an eye follows, and no frame is long

// The live log. Rows come into a ring as they come; what is seen of it is drawn
// a few times a second, and not at all while paused.
export function Live() {
  const { query } = usePlace()
  const { filter: device } = useFleet()
  useZone()
  const filter = useFilter(device)
  const ring = useRef(new Ring<string>(most))
  const [held, hold] = useState<Ring<string>>() // what is shown while paused
  const [, draw] = useState(0)
  const [state, setState] = useState<[StreamState, string]>(["connecting", ""])
  const [notes, setNotes] = useState({ dropped: 0, gaps: 0, refused: "" })
  const stream = useRef<Stream | undefined>(undefined)

  useEffect(() => {
    let dirty = false
    const s = new Stream("/api/traffic/logs/stream", "log", liveFilter(filter), {
      row: (frame) => {
        ring.current.push(frame)
        dirty = true
      },
      state: (st, why = "") => setState([st, why]),
      dropped: (n) => setNotes((x) => ({ ...x, dropped: x.dropped + n })),
      gap: () => setNotes((x) => ({ ...x, gaps: x.gaps + 1 })),
      refused: (why) => setNotes((x) => ({ ...x, refused: why })),
    })
    stream.current = s
    const timer = setInterval(() => {
      if (!dirty) return
      dirty = false
      draw((n) => n + 1)
    }, drawEvery)
    return () => {
      clearInterval(timer)
      s.close()
    }
  }, [device])

  const first = useRef(true)
  useEffect(() => {
    if (first.current) {
      first.current = false
      return
    }
    setNotes((x) => ({ ...x, refused: "" }))
    ring.current.clear()
    hold(undefined)
    stream.current?.refilter(liveFilter(filter))
    draw((n) => n + 1)
  }, [filter])

  const paused = held !== undefined
  const pause = (on: boolean) => hold(on ? (held ?? ring.current.copy()) : undefined)
  const shown = held ?? ring.current
  const waiting = paused ? ring.current.total - held.total : 0
  const lost = ring.current.total - ring.current.size
  const row = useMemo(() => {
    const id = query.get("row")
    for (let i = 0; id && i < shown.size; i++) if (shown.at(i).includes(`"id":${JSON.stringify(id)}`)) return rowOf(shown.at(i))
  }, [query.get("row")])
  const request = { path: "/api/traffic/logs/stream", query: filter }

  return (
    <View title="Live" curl={request} about={`Rows as the routers report them. Times in ${zoneName()}.`}
      actions={
        <Button kind={paused ? "primary" : "plain"} icon={paused ? "play" : "pause"} onClick={() => pause(!paused)} aria-pressed={paused}>
          {paused ? "Go on" : "Pause"}
        </Button>
      }>
      <FilterBar />
      {notes.refused && (
        <p class="field-error" role="alert">
          The filter was refused: {notes.refused}
        </p>
      )}
      <div class="live-status" role="group" aria-label="Stream">
        <Dot state={state[0] === "open" ? (paused ? "warn" : "good") : "bad"} label={standing(state, paused)} />
        <span class="muted">{some(shown.size, "row")} kept</span>
        {paused && waiting > 0 && <span>{count(waiting)} new since the pause</span>}
        <span class={notes.dropped ? "tone-drop" : "muted"}>{count(notes.dropped)} dropped by the server</span>
        {lost > 0 && !paused && <span class="muted">{count(Math.max(0, lost))} older ones let go here</span>}
        {notes.gaps > 0 && <span class="tone-reject">{some(notes.gaps, "gap")} after a broken connection</span>}
      </div>
      {shown.size === 0 ? (
        <Empty title={state[0] === "open" ? "Waiting for the first row" : "Not connected"}>
          <p class="muted">{state[0] === "open" ? "Rows appear here as soon as a router reports one that the filters let through." : state[1]}</p>
        </Empty>
      ) : (
        <LiveTable rows={shown} version={shown.total} onAway={() => pause(true)} onOpen={(r) => (pause(true), setQuery({ row: r.id }, true))} />
      )}
      {query.get("row") && <RowDetail id={query.get("row")!} row={row} onClose={() => setQuery({ row: null }, true)} />}
    </View>
  )
}

function standing([state, why]: [StreamState, string], paused: boolean): string {
  if (state === "connecting") return "Connecting"
  if (state === "waiting") return `Connecting again: ${why}`
  return paused ? "Paused; rows go on arriving" : "Live"
}
