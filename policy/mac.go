package policy

import (
	"encoding/hex"
	"fmt"
)

// MAC is an Ethernet address. The zero MAC stands for none: it is no source
// address on the wire.
type MAC [6]byte

// ParseMAC reads six pairs of hex digits, joined by colons or by hyphens.
func ParseMAC(s string) (MAC, error) {
	var mac MAC
	ok := len(s) == 17 && (s[2] == ':' || s[2] == '-')
	for i := 0; ok && i < len(mac); i++ {
		_, err := hex.Decode(mac[i:i+1], []byte(s[3*i:3*i+2]))
		ok = err == nil && (i == 0 || s[3*i-1] == s[2])
	}
	switch {
	case !ok:
		return MAC{}, fmt.Errorf("%q is no MAC address: write six hex pairs, as in 02:00:5e:10:00:01", s)
	case mac == MAC{}:
		return MAC{}, fmt.Errorf("%q is the address of nobody", s)
	}
	return mac, nil
}

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
