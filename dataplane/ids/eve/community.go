package eve

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
)

// CommunityID is the flow hash that tools share, version 1 (Community ID Flow Hashing, Corelight).
func CommunityID(seed uint16, src, dst netip.AddrPort, protocol uint8) string {
	a, b := src, dst
	c := a.Addr().Compare(b.Addr())
	ports := protocol == 6 || protocol == 17 || protocol == 132
	if c > 0 || c == 0 && ports && a.Port() > b.Port() {
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
