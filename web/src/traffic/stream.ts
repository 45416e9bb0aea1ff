// The live log's connection: opened by a ticket, filtered in the open socket,
// taken up again after the last row when it breaks.
import { call } from "../api/client"
import type { LogEntry, StreamTicket } from "../api/schema"

export type StreamState = "connecting" | "open" | "waiting"

export interface Handlers {
  row: (r: LogEntry) => void
  state: (s: StreamState, why?: string) => void
  dropped: (n: number) => void // the server left out, as we were too slow
  gap: () => void // rows between are not in the stream any more
  refused: (why: string) => void // a filter
}

export class Stream {
  private socket?: WebSocket
  private cursor = ""
  private ended = false
  private tries = 0
  private timer?: ReturnType<typeof setTimeout>

  constructor(
    private filter: Record<string, string | string[]>,
    private on: Handlers,
  ) {
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
    const url = new URL("/api/traffic/logs/stream", location.href)
    url.protocol = url.protocol.replace("http", "ws")
    for (const [k, v] of Object.entries(this.filter)) url.searchParams.set(k, String(v))
    if (this.cursor) url.searchParams.set("cursor", this.cursor)
    url.searchParams.set("ticket", ticket.ticket)
    const s = new WebSocket(url)
    this.socket = s
    s.onopen = () => {
      this.tries = 0
      this.on.state("open")
    }
    s.onmessage = (e) => this.frame(JSON.parse(e.data as string))
    s.onclose = (e) => s === this.socket && this.again(e.reason || (e.code === 1006 ? "the connection broke" : `closed (${e.code})`))
  }

  private frame(f: { type: string; cursor?: string; data?: LogEntry; count?: number; error?: { message: string } }) {
    switch (f.type) {
      case "log":
        this.cursor = f.cursor ?? this.cursor
        this.on.row(f.data!)
        break
      case "dropped":
        this.on.dropped(f.count ?? 0)
        break
      case "gap":
        this.on.gap()
        break
      case "error":
        this.on.refused(f.error?.message ?? "refused")
    }
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
    const { device_id: _, ...rest } = filter
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "filter", filter: rest }))
  }

  close() {
    this.ended = true
    clearTimeout(this.timer)
    this.socket?.close(1000)
  }
}
