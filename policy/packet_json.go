package policy

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"time"
)

// MarshalJSON writes what DecodePacket reads. Interfaces that are not known, and
// what the protocol does not have, are left out.
func (p Packet) MarshalJSON() ([]byte, error) {
	out := struct {
		In       string  `json:"in,omitempty"`
		Out      string  `json:"out,omitempty"`
		Src      string  `json:"src"`
		Dst      string  `json:"dst"`
		Protocol string  `json:"protocol"`
		SrcPort  *uint16 `json:"sport,omitempty"`
		DstPort  *uint16 `json:"dport,omitempty"`
		ICMPType *uint8  `json:"icmp_type,omitempty"`
		ICMPCode *uint8  `json:"icmp_code,omitempty"`
		SrcMAC   string  `json:"src_mac,omitempty"`
		VLAN     uint16  `json:"vlan,omitempty"`
		Time     int64   `json:"time,omitempty"`
	}{In: p.In, Out: p.Out, Src: p.Src.String(), Dst: p.Dst.String(), Protocol: ProtocolName(p.Protocol), VLAN: p.VLAN}
	switch {
	case HasPorts(p.Protocol):
		out.SrcPort, out.DstPort = &p.SrcPort, &p.DstPort
	case p.Protocol == ProtocolICMP || p.Protocol == ProtocolICMPv6:
		out.ICMPType, out.ICMPCode = &p.ICMPType, &p.ICMPCode
	}
	if p.SrcMAC != (MAC{}) {
		out.SrcMAC = p.SrcMAC.String()
	}
	if !p.Time.IsZero() {
		out.Time = p.Time.Unix()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes, where interfaces may be missing;
// what people write is read by DecodePacket.
func (p *Packet) UnmarshalJSON(text []byte) error {
	var in struct {
		In       string     `json:"in"`
		Out      string     `json:"out"`
		Src      netip.Addr `json:"src"`
		Dst      netip.Addr `json:"dst"`
		Protocol string     `json:"protocol"`
		SrcPort  uint16     `json:"sport"`
		DstPort  uint16     `json:"dport"`
		ICMPType uint8      `json:"icmp_type"`
		ICMPCode uint8      `json:"icmp_code"`
		SrcMAC   string     `json:"src_mac"`
		VLAN     uint16     `json:"vlan"`
		Time     int64      `json:"time"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	protocol, err := ParseProtocol(in.Protocol)
	if err != nil {
		return err
	}
	*p = Packet{
		In: in.In, Out: in.Out, Src: in.Src, Dst: in.Dst, Protocol: protocol, SrcPort: in.SrcPort, DstPort: in.DstPort,
		ICMPType: in.ICMPType, ICMPCode: in.ICMPCode, VLAN: in.VLAN,
	}
	if in.SrcMAC != "" {
		if p.SrcMAC, err = ParseMAC(in.SrcMAC); err != nil {
			return err
		}
	}
	if in.Time != 0 {
		p.Time = time.Unix(in.Time, 0)
	}
	return nil
}

// ParseProtocol reads the name of one protocol, or its number.
func ParseProtocol(s string) (uint8, error) { return parseOneProtocol(s) }

// ProtocolName is a protocol as policies write it: tcp, udp, icmp …, or its
// number.
func ProtocolName(n uint8) string {
	for name, number := range protocolNumbers {
		if number == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}
