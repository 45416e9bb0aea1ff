// Package flowlog turns the data plane's flow events into rows of the traffic
// log: numbers become the names they had under the revision that decided.
package flowlog

import (
	"net/netip"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"

	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/flow"
	"ngfw.sh/internal/geoip"
	"ngfw.sh/policy"
)

// Names resolves what events carry as numbers.
type Names interface {
	PortName(index uint32) string
	Legend(revision int64) policy.Legend
	Country(addr netip.Addr) string // ISO 3166 code, "" where it is not known
}

// clockEpoch is before any router runs this: a clock behind it is not set.
var clockEpoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Row is the event as the cloud stores it.
func Row(e flow.Event, names Names) *ngfwv1.FlowEvent {
	legend := names.Legend(e.Revision)
	row := &ngfwv1.FlowEvent{
		FlowId:          e.FlowID,
		Kind:            kinds[e.Kind],
		TimeNs:          e.Time.UnixNano(),
		Action:          verdicts[e.Action],
		InterfaceIn:     names.PortName(e.PortIn),
		InterfaceOut:    names.PortName(e.PortOut),
		ZoneFrom:        legend.Zone(e.ZoneIn),
		ZoneTo:          legend.Zone(e.ZoneOut),
		Protocol:        uint32(e.Tuple.Protocol),
		SourceIp:        address(e.Tuple.Source),
		DestinationIp:   address(e.Tuple.Destination),
		SourceMac:       e.SourceMAC,
		Reason:          reason(e.Decider),
		PolicyRevision:  e.Revision,
		PacketsSent:     e.Delta.PacketsSent,
		PacketsReceived: e.Delta.PacketsReceived,
		BytesSent:       e.Delta.BytesSent,
		BytesReceived:   e.Delta.BytesReceived,
		DurationNs:      int64(e.Duration),
		Count:           e.Count,
		ClockUnset:      e.Time.Before(clockEpoch),

		TotalPacketsSent:     e.Total.PacketsSent,
		TotalPacketsReceived: e.Total.PacketsReceived,
		TotalBytesSent:       e.Total.BytesSent,
		TotalBytesReceived:   e.Total.BytesReceived,
	}
	if icmp(e.Tuple.Protocol) {
		row.IcmpType = uint32(e.Tuple.Destination.Port() >> 8)
		row.IcmpCode = uint32(e.Tuple.Destination.Port() & 0xff)
	} else {
		row.SourcePort = uint32(e.Tuple.Source.Port())
		row.DestinationPort = uint32(e.Tuple.Destination.Port())
	}
	if e.Decider.Kind() == policy.DeciderRule {
		row.RuleId = int64(e.Decider.ID())
		row.RuleName = legend.Rules[row.RuleId]
	}
	if outer, ok := geoip.Outer(row.ZoneFrom, row.ZoneTo, e.Tuple.Source.Addr(), e.Tuple.Destination.Addr()); ok {
		row.Geo = names.Country(outer)
	}
	if t := e.Translated; t != nil {
		row.NatSourceIp, row.NatDestinationIp = address(t.Source), address(t.Destination)
		if !icmp(t.Protocol) {
			row.NatSourcePort, row.NatDestinationPort = uint32(t.Source.Port()), uint32(t.Destination.Port())
		}
	}
	return row
}

// Rows are the events as the cloud stores them.
func Rows(events []flow.Event, names Names) []*ngfwv1.FlowEvent {
	rows := make([]*ngfwv1.FlowEvent, len(events))
	for i, e := range events {
		rows[i] = Row(e, names)
	}
	return rows
}

var kinds = map[flow.Kind]ngfwv1.EventKind{
	flow.Open:    ngfwv1.EventKind_EVENT_KIND_OPEN,
	flow.Update:  ngfwv1.EventKind_EVENT_KIND_UPDATE,
	flow.Close:   ngfwv1.EventKind_EVENT_KIND_CLOSE,
	flow.Refused: ngfwv1.EventKind_EVENT_KIND_REFUSED,
}

var verdicts = map[policy.Action]ngfwv1.Verdict{
	policy.Accept: ngfwv1.Verdict_VERDICT_ACCEPT,
	policy.Drop:   ngfwv1.Verdict_VERDICT_DROP,
	policy.Reject: ngfwv1.Verdict_VERDICT_REJECT,
}

// reason knows the packet programs' own drop reasons beside the policy's.
func reason(d policy.Decider) string {
	if d.Kind() == policy.DeciderReason {
		return dataplane.DropReason(d.ID()).String()
	}
	return d.Reason()
}

func address(a netip.AddrPort) []byte { return a.Addr().AsSlice() }

func icmp(protocol uint8) bool {
	return protocol == policy.ProtocolICMP || protocol == policy.ProtocolICMPv6
}
