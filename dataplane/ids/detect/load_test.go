package detect

import (
	"net/netip"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/rule"
)

// FuzzDataset reads whatever a file of members may be, and what it keeps it writes and
// reads again.
func FuzzDataset(f *testing.F) {
	f.Add(uint8(0), uint8(0), "ZXZpbC5jb20=,5\n\nYg==\n")
	f.Add(uint8(1), uint8(0), "# sums\n0cc175b9c0f1b6a831c399e269772661\n")
	f.Add(uint8(3), uint8(1), `{"all":[{"a":{"ip":"192.0.2.1"}},{"a":1},null]}`)
	f.Add(uint8(4), uint8(2), "{\"a\":{\"ip\":\"2001:db8::1\"}}\n{}")
	types := []string{"string", "md5", "sha256", "ipv4", "ip"}
	f.Fuzz(func(t *testing.T, typ, format uint8, text string) {
		d := &definition{name: "x", typ: types[int(typ)%len(types)], members: map[string]uint16{}, max: 1 << 20}
		var err error
		switch format % 3 {
		case 0:
			err = d.load("x", text)
		case 1:
			err = d.loadJSON("x", text, rule.SetOptions{Format: "json", ValueKey: "a.ip", ArrayKey: "all", EnrichmentKey: "k", RemoveKey: true})
		default:
			err = d.loadJSON("x", text, rule.SetOptions{Format: "jsonline", ValueKey: "a.ip"})
		}
		if err != nil {
			return
		}
		s := NewState(DefaultStateConfig())
		x := s.attach([]*definition{d})[0]
		again := &definition{name: "x", typ: d.typ, members: map[string]uint16{}}
		if err := again.load("saved", string(x.text())); err != nil || len(again.members) != len(x.values) {
			t.Errorf("%d members are written, %d read: %v", len(x.values), len(again.members), err)
		}
	})
}

// FuzzReputation reads whatever lists of addresses may be.
func FuzzReputation(f *testing.F) {
	f.Add("1,Bad,known\n2,CnC,\n", "# list\n192.0.2.1,1,100\n10.0.0.0/8,2,5\n")
	f.Add("61,x", "::1,0,127")
	f.Fuzz(func(t *testing.T, categories, list string) {
		s := NewState(DefaultStateConfig())
		if s.LoadReputation(categories, list) != nil {
			return
		}
		l := s.reputation.list.Load()
		for _, a := range []string{"192.0.2.1", "10.1.2.3", "::1"} {
			for c := range uint8(4) {
				if v, _ := l.of(netip.MustParseAddr(a), c); v > 127 {
					t.Errorf("%s: %d in %d", a, v, c)
				}
			}
		}
		if strings.Count(list, "\n")+1 < len(l.nets) {
			t.Error("there are more networks than lines")
		}
	})
}
