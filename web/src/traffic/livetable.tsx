import { useEffect, useRef, useState } from "preact/hooks"
import type { LogEntry } from "../api/schema"
import { bytes, clock } from "../format"
import { Action } from "../ui/badge"
import { decidedBy, endpoint } from "./entry"
import type { Ring } from "./ring"
import { rowOf } from "./stream"

const height = 32 // of a row, as the style sheet has it

interface Props {
  rows: Ring<string>
  version: number
  onAway: () => void // the reader looks at older rows, which shall not move
  onOpen: (r: LogEntry) => void
}

// LiveTable draws the rows that are seen and no others, however many there are.
// Its elements belong to places and not to rows: of a row that comes in only the
// texts change.
export function LiveTable({ rows, onAway, onOpen }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const [top, setTop] = useState(0)
  const [tall, setTall] = useState(600)

  useEffect(() => {
    const el = box.current!
    const size = new ResizeObserver(() => setTall(el.clientHeight))
    size.observe(el)
    return () => size.disconnect()
  }, [])

  const first = Math.max(0, Math.floor(top / height) - 4)
  const last = Math.min(rows.size, Math.ceil((top + tall) / height) + 4)
  const seen = []
  for (let i = first; i < last; i++) seen.push({ i, r: rowOf(rows.at(i)) })

  return (
    <div class="card flush live" role="table" aria-label="Live rows, newest first" aria-rowcount={rows.size + 1}>
      <div class="live-head" role="row" aria-rowindex={1}>
        {["Time", "Action", "Source", "Destination", "Protocol", "Decided by", "Bytes"].map((t) => (
          <span role="columnheader" key={t}>
            {t}
          </span>
        ))}
      </div>
      <div class="live-body" role="rowgroup" ref={box} tabIndex={0}
        onScroll={(e) => {
          const at = e.currentTarget.scrollTop
          if (top < height && at >= height) onAway()
          setTop(at)
        }}>
        <div class="live-space" role="presentation" style={{ height: `${rows.size * height}px` }}>
          {seen.map(({ i, r }) => (
            <div key={i % 512} class="live-row" data-row={r.id} role="row" aria-rowindex={i + 2} style={{ transform: `translateY(${i * height}px)` }}
              onClick={() => onOpen(r)}>
              <span role="cell" class="time">
                <button type="button" class="row-open" aria-label={`${clock(r.timestamp, true)} ${r.action}: details`}>{clock(r.timestamp, true)}</button>
              </span>
              <span role="cell">
                <Action action={r.action} />
              </span>
              <span role="cell" class="mono">
                {r.source_ip} <small class="muted">{r.zone_from}</small>
              </span>
              <span role="cell" class="mono">
                {endpoint(r.destination_ip, r.destination_port)} <small class="muted">{r.zone_to}</small>
              </span>
              <span role="cell">
                {r.protocol} <small class="muted">{r.event}</small>
              </span>
              <span role="cell">{decidedBy(r)}</span>
              <span role="cell" class="num">
                {bytes(r.bytes)}
              </span>
            </div>
          ))}
        </div>
      </div>
    </div>
  )
}
