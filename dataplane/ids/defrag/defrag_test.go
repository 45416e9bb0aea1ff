package defrag

import (
	"bytes"
	"net/netip"
	"testing"

	"ngfw.sh/dataplane/ids/packet"
)

// head is an IPv4 header.
var head = []byte{0x45, 0, 0, 20, 0, 1, 0x20, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}

func fragment(number uint64, offset int, more bool, data string) *packet.Packet {
	return &packet.Packet{
		Time: int64(number), Number: number, Version: 4, Protocol: 17, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"),
		IP:   append(bytes.Clone(head), data...),
		Part: packet.Part{ID: 1, Offset: offset, More: more, Head: 20, Data: []byte(data), Next: 17},
	}
}

type piecePart struct {
	at   int
	more bool
	data string
}

func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy Policy
		parts  []piecePart
		want   string
	}{
		{"in order", Windows, []piecePart{{0, true, "aaaaaaaa"}, {8, false, "bb"}}, "aaaaaaaabb"},
		{"backwards", Windows, []piecePart{{8, false, "bb"}, {0, true, "aaaaaaaa"}}, "aaaaaaaabb"},
		{"a hole", Windows, []piecePart{{0, true, "aaaaaaaa"}, {16, false, "bb"}}, ""},
		{"first wins", First, []piecePart{{8, true, "bbbbbbbb"}, {0, true, "aaaaaaaaAAAAAAAA"}, {16, false, "c"}}, "aaaaaaaabbbbbbbbc"},
		{"last wins", Last, []piecePart{{8, true, "bbbbbbbb"}, {0, true, "aaaaaaaaAAAAAAAA"}, {16, false, "c"}}, "aaaaaaaaAAAAAAAAc"},
		{"bsd takes what begins before", BSD, []piecePart{{8, true, "bbbbbbbb"}, {0, true, "aaaaaaaaAAAAAAAA"}, {16, false, "c"}}, "aaaaaaaaAAAAAAAAc"},
		{"bsd keeps what begins with it", BSD, []piecePart{{0, true, "bbbbbbbb"}, {0, true, "aaaaaaaa"}, {8, false, "c"}}, "bbbbbbbbc"},
		{"linux replaces what begins with it", Linux, []piecePart{{0, true, "bbbbbbbb"}, {0, true, "aaaaaaaa"}, {8, false, "c"}}, "aaaaaaaac"},
		{"windows keeps unless wholly covered", Windows, []piecePart{{8, true, "bbbbbbbb"}, {0, true, "aaaaaaaaAAAAAAAA"}, {16, false, "c"}}, "aaaaaaaabbbbbbbbc"},
		{"windows gives way if it is", Windows, []piecePart{{8, true, "bbbbbbbb"}, {0, true, "aaaaaaaaAAAAAAAAZZZZZZZZ"}, {24, false, "c"}}, "aaaaaaaaAAAAAAAAZZZZZZZZc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Policy = func(netip.Addr) Policy { return c.policy }
			table := New(cfg)
			var got []byte
			for i, p := range c.parts {
				if whole := table.Add(fragment(uint64(i+1), p.at, p.more, p.data)); whole != nil {
					got = whole[20:]
				}
			}
			if string(got) != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.want != "" && (len(table.trackers) != 0 || table.memory != 0) {
				t.Errorf("%d trackers, %d bytes are left", len(table.trackers), table.memory)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Memory = 4096
	table := New(cfg)
	for i := range 1000 {
		p := fragment(uint64(i+1), 0, true, "0123456789abcdef")
		p.Part.ID = uint32(i)
		table.Add(p)
	}
	if table.memory > cfg.Memory || table.Counters.Evicted == 0 {
		t.Errorf("%d bytes, %d evicted", table.memory, table.Counters.Evicted)
	}
	p := fragment(2000, 65528, false, "0123456789")
	table.Add(p)
	if !p.Events.Has(packet.IPv4FragPktTooLarge) {
		t.Error("a packet that is too large goes unnoticed")
	}
	late := fragment(3000, 0, true, "x")
	late.Time = cfg.Timeout * 3
	table.Add(late)
	if len(table.trackers) != 1 || table.Counters.TimedOut == 0 {
		t.Errorf("%d trackers, %d timed out", len(table.trackers), table.Counters.TimedOut)
	}
}
