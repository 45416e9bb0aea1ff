package eve

import (
	"encoding/json"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

type signature struct {
	Action      string              `json:"action"`
	GID         uint32              `json:"gid"`
	SignatureID uint32              `json:"signature_id"`
	Revision    uint32              `json:"rev"`
	Signature   string              `json:"signature"`
	Category    string              `json:"category"`
	Severity    uint8               `json:"severity"`
	Source      *side               `json:"source,omitempty"`
	Target      *side               `json:"target,omitempty"`
	References  []string            `json:"references,omitempty"`
	Metadata    map[string][]string `json:"metadata,omitempty"`
	Rule        string              `json:"rule,omitempty"`
	// Context is what sets in JSON say of what was found in them.
	Context map[string]json.RawMessage `json:"context,omitempty"`
}

type side struct {
	IP   string  `json:"ip"`
	Port *uint16 `json:"port,omitempty"`
}

type flowPart struct {
	PacketsToServer uint64 `json:"pkts_toserver"`
	PacketsToClient uint64 `json:"pkts_toclient"`
	BytesToServer   uint64 `json:"bytes_toserver"`
	BytesToClient   uint64 `json:"bytes_toclient"`
	Start           string `json:"start"`
	SrcIP           string `json:"src_ip,omitempty"`
	DestIP          string `json:"dest_ip,omitempty"`
	SrcPort         uint16 `json:"src_port,omitempty"`
	DestPort        uint16 `json:"dest_port,omitempty"`
}

func part(f *ids.Flow) *flowPart {
	if f == nil {
		return nil
	}
	d := &f.Detect
	return &flowPart{
		d.Packets[0], d.Packets[1], d.Bytes[0], d.Bytes[1], stamp(d.Start),
		f.Client.Addr().String(), f.Server.Addr().String(), f.Client.Port(), f.Server.Port(),
	}
}

type verdict struct {
	Action string   `json:"action"`
	Reject []string `json:"reject,omitempty"`
}

type alertEvent struct {
	event
	Alert       signature      `json:"alert"`
	Verdict     *verdict       `json:"verdict,omitempty"`
	Metadata    map[string]any `json:"metadata,omitempty"`
	Flow        *flowPart      `json:"flow,omitempty"`
	Payload     []byte         `json:"payload,omitempty"` // base64 by the encoder
	Printable   string         `json:"payload_printable,omitempty"`
	PayloadSize int            `json:"payload_length,omitempty"`
	Stream      *int           `json:"stream,omitempty"`
	packetPart
	transaction
}

// Alert implements ids.Log.
func (w *Writer) Alert(a *ids.Alert) {
	if !w.wants("alert") {
		return
	}
	p, m := a.Packet, a.Match
	e := &alertEvent{event: w.ofPacket("alert", p, a.Flow, a.Direction), Flow: part(a.Flow)}
	e.Direction = direction(a.Direction)
	if a.Flow == nil {
		e.Direction = ""
	}
	e.Alert = w.signature(m, p, a.Blocked)
	stream := 0
	data := p.Payload
	if len(a.Stream) > 0 {
		data, stream = a.Stream, 1
	}
	e.Stream = &stream
	if w.cfg.Inline {
		e.Verdict = &verdict{Action: "pass"}
		switch {
		case a.Blocked:
			e.Verdict.Action = "drop"
			if m.Action >= rule.ActionReject {
				e.Verdict.Reject = []string{map[rule.Action]string{
					rule.ActionReject: "tcp-reset", rule.ActionRejectDestination: "tcp-reset", rule.ActionRejectBoth: "tcp-reset",
				}[m.Action]}
			}
		default:
			e.Verdict.Action = "alert"
		}
	}
	if w.cfg.Payload && len(data) > 0 {
		e.PayloadSize = len(data)
		data = data[:min(len(data), w.cfg.PayloadLimit)]
		e.Payload, e.Printable = data, printable(data)
	}
	if w.cfg.Packet && !p.Made {
		e.packetPart = whole(p)
	}
	if f := a.Flow; f != nil {
		e.Metadata = vars(&f.Detect)
	}
	if a.Transaction != nil {
		id := a.Transaction.ID()
		e.TxID = &id
		e.transaction.fill(a.Transaction, a.Direction, true)
	}
	w.write(e)
}

func (w *Writer) signature(m *detect.Match, p *packet.Packet, blocked bool) signature {
	r := m.Rule
	s := signature{Action: "allowed", GID: r.GID, SignatureID: r.SID, Revision: r.Revision, Signature: r.Message, Severity: r.Priority}
	if blocked {
		s.Action = "blocked"
	}
	if c, ok := w.cfg.Classes[r.Class]; ok {
		s.Category = c.Description
		if s.Severity == 0 {
			s.Severity = c.Priority
		}
	}
	if s.Severity == 0 {
		s.Severity = 3
	}
	for _, ref := range r.References {
		s.References = append(s.References, w.cfg.References[ref.System]+ref.ID)
	}
	for _, pair := range r.Metadata {
		if s.Metadata == nil {
			s.Metadata = map[string][]string{}
		}
		s.Metadata[pair.Key] = append(s.Metadata[pair.Key], pair.Value)
	}
	for _, c := range m.Context {
		if s.Context == nil {
			s.Context = map[string]json.RawMessage{}
		}
		s.Context[c.Key] = c.Data
	}
	if w.cfg.RuleText {
		s.Rule = r.Text
	}
	if r.Target != rule.NoTarget && p.Version != 0 {
		src, dst := &side{IP: p.Src.String()}, &side{IP: p.Dst.String()}
		if p.Transport != nil && p.Protocol != 1 && p.Protocol != 58 {
			src.Port, dst.Port = &p.SrcPort, &p.DstPort
		}
		if r.Target == rule.TargetSource {
			src, dst = dst, src
		}
		s.Source, s.Target = src, dst
	}
	return s
}

// vars are what rules have noted of a flow.
func vars(d *detect.Flow) map[string]any {
	m := map[string]any{}
	if bits := d.Bits(nil); len(bits) > 0 {
		m["flowbits"] = bits
	}
	numbers := map[string]uint32{}
	d.Ints(func(name string, v uint32) { numbers[name] = v })
	if len(numbers) > 0 {
		m["flowints"] = numbers
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

func direction(d app.Direction) string {
	if d == app.ToServer {
		return "to_server"
	}
	return "to_client"
}

// printable shows what is ASCII, and dots for the rest.
func printable(b []byte) string {
	s := make([]byte, len(b))
	for i, c := range b {
		if c >= 0x20 && c < 0x7f || c == '\r' || c == '\n' || c == '\t' {
			s[i] = c
		} else {
			s[i] = '.'
		}
	}
	return string(s)
}
