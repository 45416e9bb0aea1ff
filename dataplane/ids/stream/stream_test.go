package stream

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

var (
	client = netip.MustParseAddr("192.0.2.1")
	server = netip.MustParseAddr("198.51.100.2")
)

// talk is a session under test.
type talk struct {
	*Session
	now    int64
	events packet.Events
}

func newTalk(cfg Config) *talk {
	return &talk{Session: NewSession(&cfg, &Budget{})}
}

func (c *talk) send(dir app.Direction, flags uint8, seq, ack uint32, data string) Answer {
	c.now += 1e6
	c.events.Reset()
	p := &packet.Packet{Time: c.now, Version: 4, Protocol: 6, Src: client, Dst: server, Payload: []byte(data)}
	if dir == app.ToClient {
		p.Src, p.Dst = p.Dst, p.Src
	}
	p.TCP = packet.TCP{Seq: seq, Ack: ack, Flags: flags, Window: 65535, WScale: -1}
	p.Transport = make([]byte, 20)
	return c.Packet(p, dir, p.Src, p.Dst, &c.events)
}

func (c *talk) open() {
	c.send(app.ToServer, syn, 1000, 0, "")
	c.send(app.ToClient, syn|ack, 5000, 1001, "")
	c.send(app.ToServer, ack, 1001, 5001, "")
}

// drain takes what there is for the application; gaps are dots.
func (c *talk) drain(dir app.Direction, eof bool) string {
	var got []byte
	c.Settle(dir, eof, &c.events)
	for {
		data, gap := c.App(dir, eof)
		if len(data)+gap == 0 {
			return string(got)
		}
		got = append(got, data...)
		got = append(got, bytes.Repeat([]byte{'.'}, gap)...)
		c.AppTaken(dir, len(data)+gap)
		c.Release()
	}
}

func TestHandshake(t *testing.T) {
	c := newTalk(DefaultConfig())
	c.open()
	if c.State() != Established {
		t.Fatal(c.State())
	}
	c.send(app.ToServer, ack|packet.PSH, 1001, 5001, "hello")
	if got := c.drain(app.ToServer, false); got != "" {
		t.Errorf("%q counts before it is acknowledged", got)
	}
	c.send(app.ToClient, ack, 5001, 1006, "")
	if got := c.drain(app.ToServer, false); got != "hello" {
		t.Errorf("got %q", got)
	}
	c.send(app.ToServer, fin|ack, 1006, 5001, "")
	c.send(app.ToClient, fin|ack, 5001, 1007, "")
	c.send(app.ToServer, ack, 1007, 5002, "")
	if c.State() != Closed || !c.Finished(app.ToServer) {
		t.Error(c.State())
	}
}

func TestInline(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Inline = true
	c := newTalk(cfg)
	c.open()
	c.send(app.ToServer, ack, 1001, 5001, "good")
	if got := c.drain(app.ToServer, false); got != "good" {
		t.Errorf("got %q", got)
	}
	// Ahead of its turn, then the hole with other bytes: the first win.
	c.send(app.ToServer, ack, 1009, 5001, "TAIL")
	a := c.send(app.ToServer, ack, 1005, 5001, "holeXXXX")
	if !a.Changed {
		t.Error("the packet keeps bytes that were not inspected")
	}
	if got := c.drain(app.ToServer, false); got != "holeTAIL" {
		t.Errorf("got %q", got)
	}
	if !c.events.Has(packet.StreamReassemblyOverlapDifferentData) {
		t.Error("the overlap goes unnoticed")
	}
}

// Inline nothing passes by: a server that speaks before the handshake is over is not heard,
// and who acknowledges what it said has no connection. Where connections are met in the
// middle, packets may have.
func TestInlineHandshake(t *testing.T) {
	for _, midstream := range []bool{false, true} {
		cfg := DefaultConfig()
		cfg.Inline, cfg.Midstream = true, midstream
		c := newTalk(cfg)
		c.send(app.ToServer, syn, 1000, 0, "")
		c.send(app.ToClient, syn|ack, 5000, 1001, "")
		if a := c.send(app.ToClient, ack, 5001, 1001, "220 ready"); !a.Drop {
			t.Errorf("midstream %v: %+v", midstream, a)
		}
		if a := c.send(app.ToServer, ack, 1001, 5010, ""); a.Valid != midstream || (c.State() == Established) != midstream {
			t.Errorf("midstream %v: %+v, %v", midstream, a, c.State())
		}
	}
}

func TestGap(t *testing.T) {
	c := newTalk(DefaultConfig())
	c.open()
	c.send(app.ToServer, ack, 1001, 5001, "one")
	c.send(app.ToServer, ack, 1007, 5001, "three")
	c.send(app.ToClient, ack, 5001, 1012, "")
	if got := c.drain(app.ToServer, false); got != "one...three" {
		t.Errorf("got %q", got)
	}
}

func TestDepth(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Depth = 10
	c := newTalk(cfg)
	c.open()
	c.send(app.ToServer, ack, 1001, 5001, "0123456789abcdef")
	if !c.events.Has(packet.StreamReassemblyDepthReached) || !c.DepthReached(app.ToServer) {
		t.Error("the depth goes unnoticed")
	}
	c.send(app.ToClient, ack, 5001, 1017, "")
	if got := c.drain(app.ToServer, false); got != "0123456789" {
		t.Errorf("got %q", got)
	}
}

func TestMidstream(t *testing.T) {
	cfg := DefaultConfig()
	c := newTalk(cfg)
	if a := c.send(app.ToServer, ack, 1, 1, "x"); !a.Unknown || c.State() != None {
		t.Errorf("%+v", a)
	}
	cfg.Midstream = true
	c = newTalk(cfg)
	if a := c.send(app.ToServer, ack, 7, 9, "data"); !a.Picked || c.State() != Established {
		t.Errorf("%+v %v", a, c.State())
	}
	c.send(app.ToClient, ack, 9, 11, "")
	if got := c.drain(app.ToServer, false); got != "data" {
		t.Errorf("got %q", got)
	}
}

func TestEvents(t *testing.T) {
	for _, x := range []struct {
		name string
		want packet.Event
		do   func(c *talk)
	}{
		{"rst without a session", packet.StreamRstButNoSession, func(c *talk) { c.send(app.ToServer, rst, 1, 0, "") }},
		{"synack with a wrong ack", packet.StreamThreeWaySynackWithWrongAck, func(c *talk) {
			c.send(app.ToServer, syn, 1000, 0, "")
			c.send(app.ToClient, syn|ack, 5000, 999, "")
		}},
		{"out of window", packet.StreamEstPacketOutOfWindow, func(c *talk) { c.open(); c.send(app.ToServer, ack, 1001+1<<20, 5001, "x") }},
		{"invalid ack", packet.StreamEstInvalidAck, func(c *talk) { c.open(); c.send(app.ToServer, ack, 1001, 5001+1<<20, "x") }},
		{"syn again", packet.StreamEstSynResend, func(c *talk) { c.open(); c.send(app.ToServer, syn, 1000, 0, "") }},
		{"fin and syn", packet.StreamFinSyn, func(c *talk) { c.send(app.ToServer, syn|fin, 1, 0, "") }},
		{"after a reset", packet.StreamSuspectedRstInject, func(c *talk) {
			c.open()
			c.send(app.ToClient, rst|ack, 5001, 1001, "")
			c.send(app.ToServer, ack, 1001, 5001, "x")
		}},
	} {
		c := newTalk(DefaultConfig())
		if x.do(c); !c.events.Has(x.want) {
			t.Errorf("%s: %v", x.name, c.events.All())
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, x := range []struct {
		policy           Policy
		before, with, in bool // the later one wins if it begins before, begins with and ends after, lies within and ends with
	}{
		{BSD, true, false, false}, {Windows, true, false, false}, {Linux, true, true, false}, {OldLinux, true, true, false},
		{Solaris, true, true, false}, {First, false, false, false}, {Last, true, true, true},
	} {
		if got := x.policy.newWins(10, 20, 5, 20); got != x.before {
			t.Errorf("%d: begins before: %v", x.policy, got)
		}
		if got := x.policy.newWins(10, 20, 10, 25); got != x.with {
			t.Errorf("%d: begins with it: %v", x.policy, got)
		}
		if got := x.policy.newWins(10, 20, 15, 20); got != x.in {
			t.Errorf("%d: within: %v", x.policy, got)
		}
	}
}

// Segments in any order, cut and repeated in any way, make the bytes that were sent.
func TestReassembly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := []byte(rapid.StringMatching(`[a-z]{1,300}`).Draw(t, "sent"))
		cfg := DefaultConfig()
		cfg.Inline = rapid.Bool().Draw(t, "inline")
		base := rapid.Uint32().Draw(t, "isn") // may wrap
		c := newTalk(cfg)
		c.send(app.ToServer, syn, base, 0, "")
		c.send(app.ToClient, syn|ack, 5000, base+1, "")
		c.send(app.ToServer, ack, base+1, 5001, "")
		type cut struct{ from, to int }
		var cuts []cut
		for at := 0; at < len(sent); {
			n := rapid.IntRange(1, 60).Draw(t, "length")
			cuts = append(cuts, cut{at, min(at+n, len(sent))})
			at += n
		}
		for range rapid.IntRange(0, 4).Draw(t, "again") {
			from := rapid.IntRange(0, len(sent)-1).Draw(t, "from")
			cuts = append(cuts, cut{from, min(from+rapid.IntRange(1, 80).Draw(t, "n"), len(sent))})
		}
		cuts = rapid.Permutation(cuts).Draw(t, "order")
		got := ""
		for _, x := range cuts {
			c.send(app.ToServer, ack, base+1+uint32(x.from), 5001, string(sent[x.from:x.to]))
			got += c.drain(app.ToServer, false)
		}
		c.send(app.ToClient, ack, 5001, base+1+uint32(len(sent)), "")
		got += c.drain(app.ToServer, false)
		if got != string(sent) {
			t.Fatalf("got %q, sent %q", got, sent)
		}
	})
}

// Bytes that overlap are those that a naive host with the policy would have.
func TestOverlapModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := Policy(rapid.IntRange(0, int(Last)).Draw(t, "policy"))
		h := &Half{started: true, rooms: &rooms{}}
		type segment struct {
			from int
			data []byte
		}
		var model []byte
		var have []bool
		var segments []segment
		for range rapid.IntRange(1, 6).Draw(t, "segments") {
			s := segment{rapid.IntRange(0, 20).Draw(t, "from"), []byte(rapid.StringMatching(`[a-z]{1,12}`).Draw(t, "data"))}
			for len(model) < s.from+len(s.data) {
				model, have = append(model, 0), append(have, false)
			}
			for i, b := range s.data {
				at := s.from + i
				wins := true
				for _, old := range segments {
					if at >= old.from && at < old.from+len(old.data) && s.data[i] != model[at] &&
						!policy.newWins(uint64(old.from), uint64(old.from+len(old.data)), uint64(s.from), uint64(s.from+len(s.data))) {
						wins = false
					}
				}
				if !have[at] || wins {
					model[at], have[at] = b, true
				}
			}
			h.insert(int64(s.from), slices.Clone(s.data), policy, false, 1000)
			segments = append(segments, s)
			end := slices.Index(have, false)
			if end < 0 {
				end = len(have)
			}
			if int(h.edge) != end || !bytes.Equal(h.bytes(0, h.edge), model[:end]) {
				t.Fatalf("got %q up to %d, want %q", h.bytes(0, h.edge), h.edge, model[:end])
			}
		}
	})
}

// FuzzSession holds a session to its bounds, whatever is sent.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 0, 0, 0, 1, 18, 0, 0, 1, 0, 0, 0, 16, 1, 0, 1, 0, 5}, false)
	f.Add([]byte{0, 24, 0, 0, 200, 200, 50, 1, 24, 0, 9, 0, 0, 9, 0, 4, 1, 0, 1, 0, 0}, true)
	f.Fuzz(func(t *testing.T, script []byte, inline bool) {
		cfg := DefaultConfig()
		cfg.Inline, cfg.Midstream, cfg.Depth = inline, true, 4096
		c := newTalk(cfg)
		for len(script) >= 7 {
			s := script[:7]
			script = script[7:]
			dir := app.Direction(s[0] & 1)
			c.send(dir, s[1], uint32(s[2])<<8|uint32(s[3]), uint32(s[4])<<8|uint32(s[5]), string(make([]byte, int(s[6])*4)))
			for _, d := range []app.Direction{0, 1} {
				c.drain(d, false)
				if chunk, ok := c.Raw(d, false); ok {
					c.RawTaken(d, chunk)
				}
			}
			c.Release()
		}
		for _, d := range []app.Direction{0, 1} {
			c.drain(d, true)
		}
		if c.budget.Bytes > 1<<20 {
			t.Errorf("%d bytes are held", c.budget.Bytes)
		}
		c.Close()
		if c.budget.Bytes != 0 {
			t.Errorf("%d bytes are held after the end", c.budget.Bytes)
		}
	})
}
