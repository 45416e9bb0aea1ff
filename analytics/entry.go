package analytics

import (
	"fmt"
	"net/netip"
	"strconv"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// protocolName is how the API writes a protocol: a number where it has no name.
func protocolName(n uint8) string {
	switch n {
	case 1:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 58:
		return "icmpv6"
	}
	return strconv.Itoa(int(n))
}

// entry is the row as the API shows it, in the log and on live streams.
func (r *row) entry() *ngfwv1.LogEntry {
	e := &ngfwv1.LogEntry{
		Id: r.id(), FlowId: fmt.Sprintf("%016x", r.flowID), DeviceId: r.deviceID,
		Event: r.event.String(), Timestamp: float64(r.time) / 1e6, Action: r.action.String(),
		Interface: r.interfaceIn, ZoneFrom: r.zoneFrom, ZoneTo: r.zoneTo,
		Protocol: protocolName(r.protocol),
		SourceIp: r.src.String(), SourcePort: uint32(r.srcPort),
		DestinationIp: r.dst.String(), DestinationPort: uint32(r.dstPort),
		SourceMac:      optional.Of(r.mac),
		PolicyRevision: r.revision,
		App:            optional.Of(r.app), Geo: optional.Of(r.geo), Threat: optional.Of(r.threat), Hostname: optional.Of(r.hostname),
		Bytes: int64(r.bytesSent + r.bytesReceived), Packets: int64(r.packetsSent + r.packetsReceived),
		BytesSent: int64(r.bytesSent), BytesReceived: int64(r.bytesReceived),
		Count: int64(r.count), Reason: r.reason,
	}
	if r.ruleID != 0 {
		e.RuleId, e.RuleName = &r.ruleID, optional.Of(r.ruleName)
	}
	if r.event == eventUpdate || r.event == eventClose {
		ms := int64(r.duration / 1000)
		e.DurationMs = &ms
	}
	if r.protocol == 1 || r.protocol == 58 {
		kind, code := uint32(r.icmpType), uint32(r.icmpCode)
		e.IcmpType, e.IcmpCode = &kind, &code
	}
	if r.natSrc.IsValid() || r.natDst.IsValid() {
		e.Nat = &ngfwv1.NatTuple{ // the whole translated tuple: a side that stayed is the original
			SourceIp: e.SourceIp, SourcePort: e.SourcePort,
			DestinationIp: e.DestinationIp, DestinationPort: e.DestinationPort,
		}
		if r.natSrc.IsValid() {
			e.Nat.SourceIp, e.Nat.SourcePort = r.natSrc.String(), uint32(r.natSrcPort)
		}
		if r.natDst.IsValid() {
			e.Nat.DestinationIp, e.Nat.DestinationPort = r.natDst.String(), uint32(r.natDstPort)
		}
	}
	return e
}

// translated is a NAT address of the table: :: is none.
func translated(a netip.Addr) netip.Addr {
	if a == netip.IPv6Unspecified() {
		return netip.Addr{}
	}
	return a.Unmap()
}
