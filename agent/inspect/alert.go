package inspect

import (
	"net/netip"
	"strconv"
	"strings"

	"ngfw.sh/config/ids"
	matcher "ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/rule"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const preview = 256 // bytes of a payload that an alert shows

// event is an alert as the cloud takes it.
func event(a *matcher.Alert, class rule.Class) *ngfwv1.AlertEvent {
	r := a.Match.Rule
	source, destination := ends(a)
	e := &ngfwv1.AlertEvent{
		TimeNs: a.Packet.Time, Severity: severity(r, class), Signature: r.Message, SignatureId: int64(r.SID), Category: ids.CategoryOf(r.Class),
		SourceIp: source.Addr().AsSlice(), SourcePort: uint32(source.Port()), DestinationIp: destination.Addr().AsSlice(), DestinationPort: uint32(destination.Port()),
		Protocol: uint32(a.Packet.Protocol), Blocked: a.Blocked, Payload: head(a), Metadata: metadata(r, class),
	}
	for _, c := range a.Match.Context {
		if len(c.Data) < 1024 {
			e.Metadata["context."+c.Key] = string(c.Data)
		}
	}
	if f := a.Flow; f != nil && f.Detect.ProtocolKnown {
		e.AppProto = eve.AppName(f.Detect.Protocol)
	}
	return e
}

// ends are the sender and the receiver of what was matched: a request may be looked at
// when the packet comes that acknowledges it.
func ends(a *matcher.Alert) (source, destination netip.AddrPort) {
	if a.Flow == nil || a.Transaction == nil && a.Stream == nil {
		return netip.AddrPortFrom(a.Packet.Src, a.Packet.SrcPort), netip.AddrPortFrom(a.Packet.Dst, a.Packet.DstPort)
	}
	if r := a.Match.Rule; r.ToServer && !r.ToClient || r.ToServer == r.ToClient && a.Direction == app.ToServer {
		return a.Flow.Client, a.Flow.Server
	}
	return a.Flow.Server, a.Flow.Client
}

// severity is what the rule's metadata says, in the words that public sets use, or its
// priority.
func severity(r *rule.Rule, class rule.Class) ngfwv1.AlertSeverity {
	for _, m := range r.Metadata {
		if m.Key == "signature_severity" {
			switch m.Value {
			case "Critical":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_CRITICAL
			case "Major":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_HIGH
			case "Minor":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_MEDIUM
			case "Informational":
				return ngfwv1.AlertSeverity_ALERT_SEVERITY_LOW
			}
		}
	}
	priority := r.Priority
	if priority == 0 {
		priority = class.Priority
	}
	switch priority {
	case 1:
		return ngfwv1.AlertSeverity_ALERT_SEVERITY_HIGH
	case 2:
		return ngfwv1.AlertSeverity_ALERT_SEVERITY_MEDIUM
	}
	return ngfwv1.AlertSeverity_ALERT_SEVERITY_LOW
}

// head is the beginning of what was matched on.
func head(a *matcher.Alert) []byte {
	data := a.Packet.Payload
	if len(a.Stream) > 0 {
		data = a.Stream
	}
	if len(data) == 0 && a.Transaction != nil {
		data = opening(a.Transaction)
	}
	return append([]byte(nil), data[:min(len(data), preview)]...)
}

// opening is what a transaction begins with.
func opening(t app.Transaction) []byte {
	var room [1]app.Buffer
	for _, name := range []string{"http.request_line", "dns.query", "tls.sni", "quic.sni", "ssh.software"} {
		if k := rule.KindOf(name); k != nil {
			if b := t.Buffers(k, app.ToServer, room[:0]); len(b) > 0 {
				return b[0].Data
			}
		}
	}
	return nil
}

// metadata is the rule's, with what it belongs to.
func metadata(r *rule.Rule, class rule.Class) map[string]string {
	out := map[string]string{"gid": strconv.FormatUint(uint64(r.GID), 10), "rev": strconv.FormatUint(uint64(r.Revision), 10)}
	if r.Class != "" {
		out["classtype"] = r.Class
	}
	if class.Description != "" {
		out["class"] = class.Description
	}
	for _, m := range r.Metadata {
		if len(out) < 32 && len(m.Key)+len(m.Value) < 256 {
			out[m.Key] = m.Value
		}
	}
	return out
}

// hostname is the server's, as the client calls it.
func hostname(t app.Transaction) string {
	var room [1]app.Buffer
	for _, name := range []string{"tls.sni", "http.host", "quic.sni"} {
		if k := rule.KindOf(name); k != nil {
			if b := t.Buffers(k, app.ToServer, room[:0]); len(b) > 0 && len(b[0].Data) > 0 && len(b[0].Data) < 256 {
				return strings.ToValidUTF8(strings.ToLower(string(b[0].Data)), "")
			}
		}
	}
	return ""
}
