package analytics

import (
	"net/netip"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// flow is an accepted TCP flow from LAN to WAN that has just been opened;
// changes make others of it.
func flow(at time.Time, changes ...func(*ngfwv1.FlowEvent)) *ngfwv1.FlowEvent {
	e := &ngfwv1.FlowEvent{
		FlowId: 0x1234, Kind: ngfwv1.EventKind_EVENT_KIND_OPEN, TimeNs: at.UnixNano(), Action: ngfwv1.Verdict_VERDICT_ACCEPT,
		InterfaceIn: "lan0", InterfaceOut: "wan0", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: 6,
		SourceIp: ip("192.168.1.10"), SourcePort: 40000, SourceMac: []byte{2, 0, 0, 0, 0, 1},
		DestinationIp: ip("203.0.113.5"), DestinationPort: 443,
		RuleId: 7, RuleName: "web", Reason: "rule", PolicyRevision: 3,
		PacketsSent: 2, PacketsReceived: 1, BytesSent: 120, BytesReceived: 60, Count: 1,
	}
	for _, c := range changes {
		c(e)
	}
	return e
}

func ip(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

func batch(epoch string, number uint64, events ...*ngfwv1.FlowEvent) *ngfwv1.FlowBatch {
	return &ngfwv1.FlowBatch{Epoch: epoch, Number: number, Events: events}
}

var org = Origin{OrgID: "org-1", DeviceID: "dev-1", RetentionDays: 7}

func present[T any](v T) *T { return &v }
