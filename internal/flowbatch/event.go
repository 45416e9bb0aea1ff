package flowbatch

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// readEvent fills an empty event; false if it cannot. Where a field comes twice the
// last one counts, and what this version does not know is passed over, as protobuf
// has it.
func readEvent(e *ngfwv1.FlowEvent, data []byte, names *Names) bool {
	for len(data) > 0 {
		tag, n := varint(data)
		if n < 0 || tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
			return false
		}
		data = data[n:]
		switch protowire.Type(tag & 7) {
		case protowire.VarintType:
			v, n := varint(data)
			if n < 0 {
				return false
			}
			data = data[n:]
			setNumber(e, tag>>3, v)
		case protowire.BytesType:
			size, n := varint(data)
			if n < 0 || size > uint64(len(data)-n) {
				return false
			}
			v := data[n : n+int(size) : n+int(size)]
			data = data[n+int(size):]
			if !setBytes(e, tag>>3, v, names) {
				return false
			}
		case protowire.Fixed64Type:
			if len(data) < 8 {
				return false
			}
			if tag>>3 == 1 {
				e.FlowId = binary.LittleEndian.Uint64(data)
			}
			data = data[8:]
		default:
			n := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.Type(tag&7), data)
			if n < 0 {
				return false
			}
			data = data[n:]
		}
	}
	return true
}

// varint reads a number; most are of one byte.
func varint(data []byte) (uint64, int) {
	if len(data) > 0 && data[0] < 0x80 {
		return uint64(data[0]), 1
	}
	return protowire.ConsumeVarint(data)
}

// setNumber sets a field of link.proto that is a varint.
func setNumber(e *ngfwv1.FlowEvent, num, v uint64) {
	switch num {
	case 2:
		e.Kind = ngfwv1.EventKind(int32(v))
	case 3:
		e.TimeNs = int64(v)
	case 4:
		e.Action = ngfwv1.Verdict(int32(v))
	case 9:
		e.Protocol = uint32(v)
	case 11:
		e.SourcePort = uint32(v)
	case 14:
		e.DestinationPort = uint32(v)
	case 15:
		e.RuleId = int64(v)
	case 18:
		e.PolicyRevision = int64(v)
	case 19:
		e.PacketsSent = v
	case 20:
		e.PacketsReceived = v
	case 21:
		e.BytesSent = v
	case 22:
		e.BytesReceived = v
	case 23:
		e.DurationNs = int64(v)
	case 24:
		e.IcmpType = uint32(v)
	case 25:
		e.IcmpCode = uint32(v)
	case 26:
		e.Count = uint32(v)
	case 28:
		e.NatSourcePort = uint32(v)
	case 30:
		e.NatDestinationPort = uint32(v)
	case 35:
		e.ClockUnset = v != 0
	case 36:
		e.TotalPacketsSent = v
	case 37:
		e.TotalPacketsReceived = v
	case 38:
		e.TotalBytesSent = v
	case 39:
		e.TotalBytesReceived = v
	}
}

// setBytes sets a field of link.proto that is text or bytes; false if text is none.
func setBytes(e *ngfwv1.FlowEvent, num uint64, v []byte, names *Names) (ok bool) {
	ok = true
	switch num {
	case 5:
		e.InterfaceIn, ok = names.Of(v)
	case 6:
		e.InterfaceOut, ok = names.Of(v)
	case 7:
		e.ZoneFrom, ok = names.Of(v)
	case 8:
		e.ZoneTo, ok = names.Of(v)
	case 10:
		e.SourceIp = v
	case 12:
		e.SourceMac = v
	case 13:
		e.DestinationIp = v
	case 16:
		e.RuleName, ok = names.Of(v)
	case 17:
		e.Reason, ok = names.Of(v)
	case 27:
		e.NatSourceIp = v
	case 29:
		e.NatDestinationIp = v
	case 31:
		e.App, ok = names.Of(v)
	case 32:
		e.Geo, ok = names.Of(v)
	case 33:
		e.Threat, ok = names.Of(v)
	case 34:
		e.Hostname, ok = names.Of(v)
	}
	return ok
}
