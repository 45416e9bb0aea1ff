// Package eve owns the event log: JSON, one event a line, in the fields of Suricata's
// EVE, so that what reads the one reads the other (Filebeat, EveBox).
//
// A Writer is an ids.Log. It may be used by several workers; lines are never
// mixed. Times are UTC. What a packet holds is shortened to PayloadLimit.
package eve

import (
	"encoding/json"
	"io"
	"net/netip"
	"sync"
	"time"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Config says what is written.
type Config struct {
	// Kinds are the event types; nil: all.
	Kinds map[string]bool
	// Anomalies are the kinds of them: decode, stream, applayer.
	Anomalies map[string]bool
	// PayloadLimit is how many bytes of a payload are shown.
	PayloadLimit int
	// Packet shows alerts with the whole packet.
	Packet bool
	// Payload shows what was matched on.
	Payload bool
	// RuleText shows the rule.
	RuleText bool
	// CommunitySeed is that of community ids.
	CommunitySeed uint16
	// Inline: drops are real.
	Inline bool
	// Interface is where packets come from, Source the capture's name.
	Interface, Source string
	Classes           map[string]rule.Class
	References        map[string]string
}

// DefaultConfig writes everything but rules' text and, like a stock suricata.yaml, anomalies
// below the application.
func DefaultConfig() Config {
	return Config{Anomalies: map[string]bool{"applayer": true}, PayloadLimit: 4096, Packet: true, Payload: true, Classes: rule.DefaultClassification()}
}

// Writer writes events.
type Writer struct {
	cfg Config
	mu  sync.Mutex // guards what follows
	out *json.Encoder
	err error
}

// New writes to w.
func New(cfg Config, w io.Writer) *Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &Writer{cfg: cfg, out: e}
}

// Err is the first error of writing.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *Writer) wants(kind string) bool { return w.cfg.Kinds == nil || w.cfg.Kinds[kind] }

func (w *Writer) write(v any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.out.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
}

// event is what events have in common. Empty fields are left out.
type event struct {
	Timestamp   string   `json:"timestamp"`
	FlowID      uint64   `json:"flow_id,omitempty"`
	PcapCount   uint64   `json:"pcap_cnt,omitempty"`
	Interface   string   `json:"in_iface,omitempty"`
	EventType   string   `json:"event_type"`
	VLAN        []uint16 `json:"vlan,omitempty"`
	SrcIP       string   `json:"src_ip,omitempty"`
	SrcPort     *uint16  `json:"src_port,omitempty"`
	DestIP      string   `json:"dest_ip,omitempty"`
	DestPort    *uint16  `json:"dest_port,omitempty"`
	Proto       string   `json:"proto,omitempty"`
	IPVersion   uint8    `json:"ip_v,omitempty"`
	ICMPType    *uint8   `json:"icmp_type,omitempty"`
	ICMPCode    *uint8   `json:"icmp_code,omitempty"`
	PacketFrom  string   `json:"pkt_src,omitempty"`
	CommunityID string   `json:"community_id,omitempty"`
	TxID        *uint64  `json:"tx_id,omitempty"`
	AppProto    string   `json:"app_proto,omitempty"`
	AppTS       string   `json:"app_proto_ts,omitempty"`
	AppTC       string   `json:"app_proto_tc,omitempty"`
	AppOrig     string   `json:"app_proto_orig,omitempty"`
	Direction   string   `json:"direction,omitempty"`
}

func stamp(t int64) string {
	return time.Unix(0, t).UTC().Format("2006-01-02T15:04:05.000000-0700")
}

// ofPacket fills in what is known of a packet and its flow.
func (w *Writer) ofPacket(kind string, p *packet.Packet, f *ids.Flow, dir app.Direction) event {
	e := event{
		Timestamp: stamp(p.Time), PcapCount: p.Number, Interface: w.cfg.Interface, EventType: kind,
		VLAN: p.VLANs[:p.VLANCount], IPVersion: p.Version, PacketFrom: from(p),
	}
	if p.Version != 0 {
		if p.Protocol == 1 || p.Protocol == 58 {
			e.ICMPType, e.ICMPCode = &p.ICMP.Type, &p.ICMP.Code
		}
		w.endpoints(&e, netip.AddrPortFrom(p.Src, p.SrcPort), netip.AddrPortFrom(p.Dst, p.DstPort), p.Protocol)
	}
	if f != nil {
		w.ofFlow(&e, f)
		if p.Made {
			e.PcapCount = 0
		}
	}
	return e
}

func from(p *packet.Packet) string {
	switch {
	case p.Made:
		return "stream (flow timeout)"
	case p.Reassembled:
		return "defrag"
	case p.Outer != nil:
		switch p.Outer.Protocol {
		case 47:
			return "gre tunnel"
		case 4:
			return "ipv4 tunnel"
		case 41:
			return "ipv6 tunnel"
		}
		return "decoder tunnel"
	}
	return "wire/pcap"
}

func (w *Writer) endpoints(e *event, src, dst netip.AddrPort, protocol uint8) {
	e.SrcIP, e.DestIP = src.Addr().String(), dst.Addr().String()
	e.Proto = protocolName(protocol)
	switch protocol {
	case 6, 17, 132:
		s, d := src.Port(), dst.Port()
		e.SrcPort, e.DestPort = &s, &d
	}
	if e.ICMPType != nil {
		src, dst = netip.AddrPortFrom(src.Addr(), uint16(*e.ICMPType)), netip.AddrPortFrom(dst.Addr(), uint16(*e.ICMPCode))
	}
	e.CommunityID = CommunityID(w.cfg.CommunitySeed, src, dst, protocol)
}

func (w *Writer) ofFlow(e *event, f *ids.Flow) {
	e.FlowID = flowID(f)
	d := &f.Detect
	if d.ProtocolKnown {
		e.AppProto = AppName(d.Protocol)
		if ts, tc := d.ProtocolOf[0], d.ProtocolOf[1]; ts != tc && ts != 0 && tc != 0 {
			e.AppTS, e.AppTC = AppName(ts), AppName(tc)
		}
	} else if d.Failed[0] || d.Failed[1] {
		e.AppProto = "failed"
	}
	if d.Original != 0 {
		e.AppOrig = AppName(d.Original)
	}
}

// AppName is the name that the log has always had.
func AppName(p rule.Protocol) string {
	if s := p.String(); s != "http1" {
		return s
	}
	return "http"
}

// flowID spreads the flow's number over 53 bits, which JSON readers keep.
func flowID(f *ids.Flow) uint64 {
	x := f.ID*0x9e3779b97f4a7c15 ^ uint64(f.Detect.Start)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x^x>>31)>>11 | 1
}

func protocolName(p uint8) string {
	switch p {
	case 1:
		return "ICMP"
	case 2:
		return "IGMP"
	case 6:
		return "TCP"
	case 17:
		return "UDP"
	case 41:
		return "IPv6"
	case 47:
		return "GRE"
	case 50:
		return "ESP"
	case 58:
		return "IPv6-ICMP"
	case 132:
		return "SCTP"
	case 4:
		return "IPv4"
	}
	return decimal(p)
}

func decimal(p uint8) string {
	if p >= 100 {
		return string([]byte{'0' + p/100, '0' + p/10%10, '0' + p%10})
	}
	return string([]byte{'0', '0' + p/10, '0' + p%10})
}
