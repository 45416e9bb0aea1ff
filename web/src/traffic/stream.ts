// The connection of a live view: opened by a ticket, filtered in the open socket,
// taken up again after the last row when it breaks or falls silent.
import { call } from "../api/client"
import type { LogEntry, StreamTicket } from "../api/schema"

export type StreamState = "connecting" | "open" | "waiting"

export interface Handlers {
  row: (frame: string) => void // {"type":"log",…}: read it by rowOf
  state: (s: StreamState, why?: string) => void
  dropped: (n: number) => void // the server left out, as we were too slow
  gap: () => void // rows between are not in the stream any more
  refused: (why: string) => void // a filter
}

// rowOf reads the row of a frame. Frames are kept as the texts they came as: a
// hundred thousand objects would keep the garbage collector busy, and few of
// them are ever seen.
export const rowOf = (frame: string): LogEntry => (JSON.parse(frame) as { data: LogEntry }).data

// A heartbeat comes every 15 s: without two of them nobody is there any more.
const silence = 35_000

export class Stream {
  private socket?: WebSocket
  private cursor = ""
  private ended = false
  private tries = 0
  private asked = 0 // filters that the server has not answered: rows are of an old one
  private timer?: ReturnType<typeof setTimeout>
  private heard = 0 // when anything came last, milliseconds
  private readonly watch: ReturnType<typeof setInterval>
  private readonly begin: string // of a frame with a row

  constructor(
    private path: string,
    kind: "log" | "alert",
    private filter: Record<string, string | string[]>,
    private on: Handlers,
  ) {
    this.begin = `{"type":"${kind}","cursor":"`
    this.watch = setInterval(() => this.listen(), 5000)
    void this.open()
  }

  private async open() {
    this.on.state("connecting")
    let ticket: StreamTicket
    try {
      ticket = await call<StreamTicket>({ method: "POST", path: "/api/stream/ticket", body: {} })
    } catch (e) {
      return this.again((e as Error).message)
    }
    if (this.ended) return
    const url = new URL(this.path, location.href)
    url.protocol = url.protocol.replace("http", "ws")
    const filter = this.filter
    for (const [k, v] of Object.entries(filter)) url.searchParams.set(k, String(v))
    if (this.cursor) url.searchParams.set("cursor", this.cursor)
    url.searchParams.set("ticket", ticket.ticket)
    const s = new WebSocket(url)
    this.socket = s
    this.asked = 0
    this.heard = Date.now()
    s.onopen = () => {
      this.tries = 0
      if (filter !== this.filter) this.sendFilter()
      this.on.state("open")
    }
    s.onmessage = (e: MessageEvent<string>) => {
      this.heard = Date.now()
      if (!e.data.startsWith(this.begin)) return this.frame(JSON.parse(e.data))
      this.cursor = e.data.slice(this.begin.length, e.data.indexOf('"', this.begin.length))
      if (!this.asked) this.on.row(e.data)
    }
    s.onclose = (e) => s === this.socket && this.again(e.reason || (e.code === 1006 ? "the connection broke" : `closed (${e.code})`))
  }

  private frame(f: { type: string; count?: number; error?: { message: string } }) {
    switch (f.type) {
      case "dropped":
        this.on.dropped(f.count ?? 0)
        break
      case "gap":
        this.on.gap()
        break
      case "filter":
        this.asked--
        break
      case "error":
        this.asked = Math.max(0, this.asked - 1)
        this.on.refused(f.error?.message ?? "refused")
    }
  }

  // listen gives up a connection on which nothing comes. Its close would be
  // waited for in vain, so it is left alone.
  private listen() {
    const s = this.socket
    if (!s || Date.now() - this.heard < silence) return
    this.socket = undefined
    s.close()
    this.again("the server is silent")
  }

  // again tries once more, later and later, not in step with others.
  private again(why: string) {
    if (this.ended) return
    this.on.state("waiting", why)
    const wait = Math.min(30_000, 500 * 2 ** this.tries++) * (0.5 + Math.random() / 2)
    this.timer = setTimeout(() => void this.open(), wait)
  }

  refilter(filter: Record<string, string | string[]>) {
    this.filter = filter
    this.cursor = ""
    if (this.socket?.readyState === WebSocket.OPEN) this.sendFilter()
  }

  private sendFilter() {
    const { device_id: _, ...rest } = this.filter
    this.asked++
    this.socket?.send(JSON.stringify({ type: "filter", filter: rest }))
  }

  close() {
    this.ended = true
    clearTimeout(this.timer)
    clearInterval(this.watch)
    this.socket?.close(1000)
  }
}
