package replay

import (
	"testing"

	"ngfw.sh/dataplane/ids/packet"
)

// frame is a segment or datagram from 192.0.2.1 to 198.51.100.2.
func frame(protocol byte, sport, dport uint16) []byte {
	b := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, byte(sport >> 8), byte(sport), byte(dport >> 8), byte(dport)}
	b = append(b, make([]byte, 16)...)
	switch protocol {
	case 6:
		b[32] = 0x50
	case 17:
		b[25] = 20
	}
	return b
}

func TestFilter(t *testing.T) {
	web, dns, ping := frame(6, 40000, 80), frame(17, 53, 5353), frame(1, 0x0800, 0)
	for text, want := range map[string][3]bool{
		"":                                {true, true, true},
		"tcp":                             {true, false, false},
		"ip":                              {true, true, true},
		"ip6":                             {false, false, false},
		"port 80":                         {true, false, false},
		"port 22":                         {false, false, false},
		"src port 80":                     {false, false, false},
		"tcp dst port 80":                 {true, false, false},
		"udp port 80":                     {false, false, false},
		"portrange 50-60":                 {false, true, false},
		"host 192.0.2.1":                  {true, true, true},
		"dst host 192.0.2.1":              {false, false, false},
		"net 198.51.100.0/24 and not tcp": {false, true, true},
		"!(port 80||port 53)":             {false, false, true},
		"tcp or udp and port 53":          {true, true, false},
		"icmp":                            {false, false, true},
	} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i, b := range [][]byte{web, dns, ping} {
			if got := f.Takes(packet.LinkRaw, b, len(b), 1); got != want[i] {
				t.Errorf("%q of packet %d: %v", text, i, got)
			}
		}
	}
	for _, text := range []string{"port", "port x", "port 1-2", "portrange 5", "src", "host a.b", "(tcp", "tcp)", "not", "tcp and", "vlan 5", "port 70000"} {
		if _, err := ParseFilter(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// FuzzFilter reads whatever a filter may be, and asks it.
func FuzzFilter(f *testing.F) {
	f.Add("tcp and (src port 80 or not dst net 10.0.0.0/8)")
	f.Add("!!((portrange 1-2))")
	web := frame(6, 1, 2)
	f.Fuzz(func(_ *testing.T, text string) {
		if x, err := ParseFilter(text); err == nil {
			x.Takes(packet.LinkRaw, web, len(web), 1)
		}
	})
}
