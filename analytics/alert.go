package analytics

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

type severity int8

var severityNames = [...]string{"", "low", "medium", "high", "critical"}

func (s severity) String() string { return severityNames[s] }

type outcome int8

const (
	outcomeAllowed outcome = iota + 1
	outcomeBlocked
)

var outcomeNames = [...]string{"", "allowed", "blocked"}

func (o outcome) String() string { return outcomeNames[o] }

// maxPayload bounds the preview of an alert's payload.
const maxPayload = 256

// alert is what intrusion detection found in one packet.
type alert struct {
	key

	severity  severity
	outcome   outcome
	signature string
	sid       int64
	category  string
	src, dst  netip.Addr // never a mapped IPv4
	srcPort   uint16
	dstPort   uint16
	protocol  uint8
	app       string
	flowID    uint64
	payload   string // bytes
	metadata  string // a JSON object of strings
	words     string // what q searches
}

// alerts holds one row for each alert.
var alerts = table{
	name: "alerts",
	columns: keyed(func(a *alert) *key { return &a.key },
		col("severity", "Enum8('low' = 1, 'medium' = 2, 'high' = 3, 'critical' = 4)", plain, func(a *alert) int8 { return int8(a.severity) }),
		col("action", "Enum8('allowed' = 1, 'blocked' = 2)", plain, func(a *alert) int8 { return int8(a.outcome) }),
		col("signature", name, "", func(a *alert) string { return a.signature }),
		col("signature_id", "Int64", plain, func(a *alert) int64 { return a.sid }),
		col("category", name, "", func(a *alert) string { return a.category }),
		col("source_ip", "IPv6", plain, func(a *alert) [16]byte { return mapped(a.src) }),
		col("source_port", "UInt16", plain, func(a *alert) uint16 { return a.srcPort }),
		col("destination_ip", "IPv6", plain, func(a *alert) [16]byte { return mapped(a.dst) }),
		col("destination_port", "UInt16", plain, func(a *alert) uint16 { return a.dstPort }),
		col("protocol", "UInt8", plain, func(a *alert) uint8 { return a.protocol }),
		col("app_proto", name, "", func(a *alert) string { return a.app }),
		col("flow_id", "UInt64", plain, func(a *alert) uint64 { return a.flowID }),
		col("payload", "String", plain, func(a *alert) string { return a.payload }),
		col("metadata", "String", plain, func(a *alert) string { return a.metadata }),
		col("words", name, "", func(a *alert) string { return a.words }),
	),
	indexes: []string{
		"INDEX by_source source_ip TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_destination destination_ip TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_signature signature_id TYPE set(64) GRANULARITY 4",
		"INDEX by_category category TYPE set(64) GRANULARITY 4",
		"INDEX by_severity severity TYPE set(8) GRANULARITY 4",
		"INDEX by_flow flow_id TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_device device_id TYPE set(16) GRANULARITY 4",
		positions,
	},
	tail: keyedTail,
}

// decode fills the alert and returns "" or why the event means nothing.
func (a *alert) decode(e *ngfwv1.AlertEvent) (reason string) {
	if e == nil {
		return "empty"
	}
	if e.Severity < 1 || int(e.Severity) >= len(severityNames) {
		return "severity"
	}
	a.severity, a.outcome = severity(e.Severity), outcomeAllowed
	if e.Blocked {
		a.outcome = outcomeBlocked
	}
	var ok bool
	if a.src, ok = address(e.SourceIp); !ok || !a.src.IsValid() {
		return "source_ip"
	}
	if a.dst, ok = address(e.DestinationIp); !ok || !a.dst.IsValid() || a.dst.Is4() != a.src.Is4() {
		return "destination_ip"
	}
	if max(e.SourcePort, e.DestinationPort) > math.MaxUint16 {
		return "port"
	}
	if e.Protocol > math.MaxUint8 {
		return "protocol"
	}
	a.srcPort, a.dstPort, a.protocol = uint16(e.SourcePort), uint16(e.DestinationPort), uint8(e.Protocol)
	if e.SignatureId < 0 {
		return "signature"
	}
	texts := 0
	for _, t := range []string{e.Signature, e.Category, e.AppProto} {
		if texts += len(t); len(t) > maxText || texts > maxTexts {
			return "text"
		}
	}
	a.signature, a.sid, a.category, a.app, a.flowID = e.Signature, e.SignatureId, e.Category, e.AppProto, e.FlowId
	a.words = strings.ToLower(a.signature + "\n" + a.category)
	a.payload = string(e.Payload[:min(len(e.Payload), maxPayload)])
	if len(e.Metadata) > 0 {
		text, err := json.Marshal(e.Metadata) // with its keys in order
		if err != nil || len(text) > maxTexts {
			return "metadata"
		}
		a.metadata = string(text)
	}
	return ""
}

// entry is the alert as the API shows it.
func (a *alert) entry() *ngfwv1.IdsAlert {
	e := &ngfwv1.IdsAlert{
		Id: a.id(), DeviceId: a.deviceID, Timestamp: float64(a.time) / 1e6, Severity: a.severity.String(),
		Signature: a.signature, SignatureId: a.sid, Category: a.category,
		SourceIp: a.src.String(), SourcePort: uint32(a.srcPort), DestinationIp: a.dst.String(), DestinationPort: uint32(a.dstPort),
		Protocol: protocolName(a.protocol), AppProto: optional.Of(a.app), Action: a.outcome.String(),
		FlowId: fmt.Sprintf("%016x", a.flowID), Metadata: map[string]string{},
	}
	if a.payload != "" {
		e.PayloadPreview = optional.Of(base64.StdEncoding.EncodeToString([]byte(a.payload)))
	}
	if a.metadata != "" {
		_ = json.Unmarshal([]byte(a.metadata), &e.Metadata) // decode wrote it
	}
	return e
}

func newAlertHub(cfg Config, now func() time.Time, m *metrics) *hub[alert] {
	weight := func(rows []alert) int {
		bytes := 0
		for i := range rows {
			a := &rows[i]
			bytes += len(a.words) + len(a.signature) + len(a.category) + len(a.payload) + len(a.metadata)
		}
		return max(len(rows), bytes/(4*namesPerRow))
	}
	return newHub(cfg.LiveAlerts, cfg.LiveBuffer, now, m, weight, func(a *alert) *ngfwv1.StreamFrame {
		return &ngfwv1.StreamFrame{Type: "alert", Alert: a.entry()}
	})
}
