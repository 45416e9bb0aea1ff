package wirejson

import (
	"testing"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// BenchmarkAppend writes a row of the log as pages and live streams show it.
func BenchmarkAppend(b *testing.B) {
	name, id := "laptop", int64(7)
	e := &ngfwv1.LogEntry{
		Id: "AAAAAAAAAAAB", FlowId: "00000000000000aa", DeviceId: "dev-1", Event: "open", Timestamp: 1789000000.123456, Action: "accept",
		Interface: "lan0", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "tcp", SourceIp: "192.168.1.7", SourcePort: 40000,
		DestinationIp: "203.0.113.9", DestinationPort: 443, Hostname: &name, App: &name, RuleId: &id, RuleName: &name,
		Bytes: 12345, Packets: 20, BytesSent: 2345, BytesReceived: 10000, Count: 1, Reason: "rule",
	}
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = Append(text[:0], e)
	}
}
