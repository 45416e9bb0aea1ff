import type { IdsAlert } from "../api/schema"
import { dateTime, zoneName } from "../format"
import { endpoint } from "../traffic/entry"
import { setQuery, withQuery } from "../router"
import { Button, LinkButton } from "../ui/button"
import { Dialog } from "../ui/dialog"
import { Facts } from "../ui/facts"
import { severityTone } from "./alerts"

export function AlertDetail({ alert: a, onClose }: { alert: IdsAlert; onClose: () => void }) {
  const only = (name: string, value: string | number) => <a href={withQuery("/ids", new URLSearchParams(), { [name]: String(value) })}>{value}</a>
  return (
    <Dialog title="Alert" size="side" onClose={onClose}>
      <div>
        <p class="verdict">
          <span class={`badge ${severityTone[a.severity] ?? ""}`}>{a.severity}</span> <span class={`badge ${a.action === "blocked" ? "drop" : "accept"}`}>{a.action}</span>
        </p>
        <p class="why-text">{a.signature}</p>
      </div>
      <Facts
        of={[
          ["Time", `${dateTime(a.timestamp)} ${zoneName()}`],
          ["Signature", only("signature_id", a.signature_id)],
          ["Category", only("category", a.category)],
          ["Source", <span class="mono">{endpoint(a.source_ip, a.source_port)}</span>],
          ["Destination", <span class="mono">{endpoint(a.destination_ip, a.destination_port)}</span>],
          ["Protocol", [a.protocol, a.app_proto].filter(Boolean).join(", ")],
          ["Router", a.device_id],
          ...Object.entries(a.metadata).map(([k, v]): [string, string] => [k, v]),
        ]}
      />
      {a.payload_preview && (
        <section>
          <h3>Payload</h3>
          <pre class="payload" tabIndex={0} role="region" aria-label="Beginning of the payload, in hexadecimal and as text">{dump(a.payload_preview)}</pre>
        </section>
      )}
      <section>
        <h3>Not worth telling?</h3>
        <p class="actions">
          <Button icon="mute" onClick={() => setQuery({ suppress: "signature" })}>
            Suppress the signature
          </Button>
          <Button icon="mute" onClick={() => setQuery({ suppress: "source" })}>
            Suppress it from {a.source_ip}
          </Button>
        </p>
      </section>
      <p class="actions">
        <LinkButton href={withQuery("/log", new URLSearchParams(), { q: a.source_ip, from: String(Math.floor(a.timestamp) - 300), to: String(Math.ceil(a.timestamp) + 300) })} icon="log">
          Its address in the log, 5 min around
        </LinkButton>
      </p>
    </Dialog>
  )
}

// dump writes bytes as hexadecimal and text, sixteen to a line.
export function dump(base64: string): string {
  const data = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
  const lines: string[] = []
  for (let i = 0; i < data.length; i += 16) {
    const part = [...data.slice(i, i + 16)]
    const hex = part.map((b) => b.toString(16).padStart(2, "0")).join(" ")
    lines.push(`${i.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${part.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : ".")).join("")}`)
  }
  return lines.join("\n")
}
