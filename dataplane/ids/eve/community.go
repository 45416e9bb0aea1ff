package eve

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
)

// CommunityID is the flow hash that tools share, version 1 (Community ID Flow Hashing, Corelight).
// Of ICMP the source's port is the type, the destination's the code.
func CommunityID(seed uint16, src, dst netip.AddrPort, protocol uint8) string {
	a, b := src, dst
	c := a.Addr().Compare(b.Addr())
	ports := protocol == 6 || protocol == 17 || protocol == 132
	oneWay := false
	if protocol == 1 || protocol == 58 {
		// A question and its answer are of one flow; what has no answer keeps its direction.
		ports, oneWay = true, true
		answers := icmpAnswers
		if protocol == 58 {
			answers = icmp6Answers
		}
		if other, ok := answers[a.Port()]; ok {
			b, oneWay = netip.AddrPortFrom(b.Addr(), other), false
		}
	}
	if !oneWay && (c > 0 || c == 0 && ports && a.Port() > b.Port()) {
		a, b = b, a
	}
	var buf [40]byte
	x := binary.BigEndian.AppendUint16(buf[:0], seed)
	x = append(x, a.Addr().AsSlice()...)
	x = append(x, b.Addr().AsSlice()...)
	x = append(x, protocol, 0)
	if ports {
		x = binary.BigEndian.AppendUint16(x, a.Port())
		x = binary.BigEndian.AppendUint16(x, b.Port())
	}
	sum := sha1.Sum(x)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}

var icmpAnswers = map[uint16]uint16{8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10}

var icmp6Answers = map[uint16]uint16{128: 129, 129: 128, 130: 131, 131: 130, 133: 134, 134: 133, 135: 136, 136: 135, 139: 140, 140: 139, 144: 145, 145: 144}

// nest turns a.b: 1 into {"a":{"b":1}}.
func nest(counters map[string]uint64) map[string]any {
	root := map[string]any{}
	for name, v := range counters {
		at := root
		parts := strings.Split(name, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = v
	}
	return root
}
