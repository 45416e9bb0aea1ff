package eve

import (
	"fmt"
	"time"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/packet"
)

// flowEvent is an event about a flow as such.
func (w *Writer) flowEvent(kind string, f *ids.Flow) event {
	e := event{Timestamp: stamp(f.Last), Interface: w.cfg.Interface, EventType: kind, VLAN: f.VLANs[:f.VLANCount]}
	if f.Protocol == 1 || f.Protocol == 58 {
		e.ICMPType, e.ICMPCode = &f.ICMPType, &f.ICMPCode
	}
	w.endpoints(&e, f.Client, f.Server, f.Protocol)
	e.IPVersion = 6
	if f.Client.Addr().Is4() {
		e.IPVersion = 4
	}
	w.ofFlow(&e, f)
	return e
}

type flowEnd struct {
	event
	Flow struct {
		flowPart
		End     string `json:"end"`
		Age     int64  `json:"age"`
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Alerted bool   `json:"alerted"`
		Action  string `json:"action,omitempty"`
	} `json:"flow"`
	Metadata map[string]any `json:"metadata,omitempty"`
	TCP      *tcpPart       `json:"tcp,omitempty"`
}

type tcpPart struct {
	Flags   string `json:"tcp_flags"`
	FlagsTS string `json:"tcp_flags_ts"`
	FlagsTC string `json:"tcp_flags_tc"`
	SYN     bool   `json:"syn,omitempty"`
	FIN     bool   `json:"fin,omitempty"`
	RST     bool   `json:"rst,omitempty"`
	PSH     bool   `json:"psh,omitempty"`
	ACK     bool   `json:"ack,omitempty"`
	State   string `json:"state"`
}

// Flow implements ids.Log.
func (w *Writer) Flow(f *ids.Flow, reason string) {
	if !w.wants("flow") {
		return
	}
	e := &flowEnd{event: w.flowEvent("flow", f), Metadata: vars(&f.Detect)}
	e.Flow.flowPart = *part(f)
	e.Flow.SrcIP, e.Flow.DestIP, e.Flow.SrcPort, e.Flow.DestPort = "", "", 0, 0
	e.Flow.End = stamp(f.Last)
	e.Flow.Age = (f.Last - f.Detect.Start) / int64(time.Second)
	e.Flow.State, e.Flow.Reason, e.Flow.Alerted = f.State(), reason, f.Alerted
	switch f.Action {
	case ids.FlowDropped:
		e.Flow.Action = "drop"
	case ids.FlowPassed:
		e.Flow.Action = "pass"
	}
	if s := f.TCP; s != nil {
		all := s.Seen[0] | s.Seen[1]
		e.TCP = &tcpPart{
			Flags: fmt.Sprintf("%02x", all), FlagsTS: fmt.Sprintf("%02x", s.Seen[0]), FlagsTC: fmt.Sprintf("%02x", s.Seen[1]),
			SYN: all&packet.SYN != 0, FIN: all&packet.FIN != 0, RST: all&packet.RST != 0, PSH: all&packet.PSH != 0, ACK: all&packet.ACK != 0,
			State: s.State().String(),
		}
	}
	w.write(e)
}

type dropEvent struct {
	event
	Drop struct {
		Length int    `json:"len"`
		TTL    uint8  `json:"ttl"`
		TOS    uint8  `json:"tos"`
		ID     uint16 `json:"ipid,omitempty"`
		Seq    uint32 `json:"tcpseq,omitempty"`
		Ack    uint32 `json:"tcpack,omitempty"`
		Window uint16 `json:"tcpwin,omitempty"`
		SYN    bool   `json:"syn,omitempty"`
		ACK    bool   `json:"ack,omitempty"`
		PSH    bool   `json:"psh,omitempty"`
		RST    bool   `json:"rst,omitempty"`
		URG    bool   `json:"urg,omitempty"`
		FIN    bool   `json:"fin,omitempty"`
		Reason string `json:"reason"`
	} `json:"drop"`
	Verdict verdict   `json:"verdict"`
	Flow    *flowPart `json:"flow,omitempty"`
}

// Drop implements ids.Log.
func (w *Writer) Drop(d *ids.Drop) {
	if !w.wants("drop") {
		return
	}
	p := d.Packet
	e := &dropEvent{event: w.ofPacket("drop", p, d.Flow, d.Direction), Verdict: verdict{Action: "drop"}, Flow: part(d.Flow)}
	if d.Flow != nil {
		e.Direction = direction(d.Direction)
	}
	x := &e.Drop
	x.Reason, x.Length = d.Reason, len(p.IP)
	switch {
	case p.Version == 4 && len(p.Network) >= 20:
		x.TOS, x.TTL, x.ID = p.Network[1], p.Network[8], uint16(p.Network[4])<<8|uint16(p.Network[5])
	case p.Version == 6 && len(p.Network) >= 40:
		x.TTL = p.Network[7]
	}
	if p.Protocol == 6 && p.Transport != nil {
		f := p.TCP.Flags
		x.Seq, x.Ack, x.Window = p.TCP.Seq, p.TCP.Ack, p.TCP.Window
		x.SYN, x.ACK, x.PSH, x.RST, x.URG, x.FIN = f&packet.SYN != 0, f&packet.ACK != 0, f&packet.PSH != 0, f&packet.RST != 0, f&packet.URG != 0, f&packet.FIN != 0
	}
	w.write(e)
}

type anomalyEvent struct {
	event
	Anomaly struct {
		Protocol string `json:"app_proto,omitempty"`
		Type     string `json:"type"`
		Event    string `json:"event"`
	} `json:"anomaly"`
}

// Anomaly implements ids.Log.
func (w *Writer) Anomaly(a *ids.Anomaly) {
	if !w.wants("anomaly") || !w.cfg.Anomalies[a.Kind] {
		return
	}
	e := &anomalyEvent{}
	if a.Packet != nil {
		e.event = w.ofPacket("anomaly", a.Packet, a.Flow, 0)
	} else {
		e.event = w.flowEvent("anomaly", a.Flow)
	}
	if a.Transaction != nil {
		id := a.Transaction.ID()
		e.TxID = &id
	}
	e.Anomaly.Type, e.Anomaly.Event = a.Kind, a.Event
	if a.Protocol != 0 {
		e.Anomaly.Protocol = AppName(a.Protocol)
	}
	w.write(e)
}

// Stats writes counters as an event, nested by the dots of their names.
func (w *Writer) Stats(at int64, counters map[string]uint64) {
	if !w.wants("stats") {
		return
	}
	w.write(map[string]any{"timestamp": stamp(at), "event_type": "stats", "stats": nest(counters)})
}
