package ids_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/traffic"
)

// The packets after a match are told as its tag says, of the session or of a host.
func TestTagged(t *testing.T) {
	for _, x := range []struct {
		tag  string
		want []uint64
	}{
		{"tag:session,3,packets;", []uint64{5, 6, 7}},
		{"tag:session,1,bytes;", []uint64{5}},
		{"tag:host,5,packets,src;", []uint64{5, 6, 7, 8, 9}},
		{"tag:host;", []uint64{5, 6, 7, 8, 9, 10, 11, 12}},
	} {
		gen := traffic.New()
		c := gen.Connect(9000)        // packets 1 to 3
		c.Say(0, []byte("mark this")) // 4, acknowledged by 5
		c.Say(1, []byte("one"))
		c.Say(0, []byte("two"))
		c.End()
		e, log := engine(t, inline(), `alert tcp any any -> any 9000 (content:"mark this"; dsize:9; `+x.tag+` sid:1;)`)
		w := e.Worker()
		if run(w, gen.Frames); !cmp.Equal(x.want, log.tagged) {
			t.Errorf("%s tells packets %v, want %v", x.tag, log.tagged, x.want)
		}
	}
}

// A rule's mark is the packet's, and the bits that it does not name are nobody's.
func TestMark(t *testing.T) {
	x := traffic.New()
	c := x.Connect(9000)
	c.Say(0, []byte("mark this"))
	c.Say(0, []byte("and no more"))
	e, _ := engine(t, inline(), `alert tcp any any -> any 9000 (content:"mark this"; nfq_set_mark:0x12/0x3f; sid:1;)`)
	w := e.Worker()
	w.Decoder().Verify(false)
	var marked []uint64
	for i, f := range x.Frames {
		v := w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
		if v.MarkMask == 0 {
			continue
		}
		if marked = append(marked, uint64(i+1)); v.Mark != 0x12 || v.MarkMask != 0x3f {
			t.Errorf("the mark is %#x/%#x", v.Mark, v.MarkMask)
		}
	}
	if len(marked) == 0 || marked[0] != 4 {
		t.Errorf("packets %v are marked", marked)
	}
}

// A direction that sends much within the time makes its flow an elephant; what is longer
// ago does not count.
func TestElephant(t *testing.T) {
	cfg := ids.DefaultConfig()
	cfg.Flows.Elephant = ids.Elephant{Bytes: 20_000, Seconds: 10}
	rules := `alert tcp any any -> any any (flow.elephant:toserver; threshold:type limit,track by_rule,count 1,seconds 3600; sid:1;)
alert tcp any any -> any any (flow.elephant:toclient; sid:2;)
alert tcp any any -> any any (flow.elephant:both; sid:3;)
alert tcp any any -> any any (flow.elephant:either; threshold:type limit,track by_rule,count 1,seconds 3600; sid:4;)`
	for _, x := range []struct {
		name  string
		pause int64
		want  []uint32
	}{{"at once", 0, []uint32{1, 4}}, {"slowly", 6e9, nil}} {
		e, log := engine(t, cfg, rules)
		w := e.Worker()
		gen := traffic.New()
		c := gen.Connect(9000)
		for range 4 {
			c.Say(0, make([]byte, 7000))
		}
		for i := range gen.Frames {
			gen.Frames[i].At += int64(i/7) * x.pause
		}
		run(w, gen.Frames)
		if d := cmp.Diff(x.want, log.alerts); d != "" {
			t.Errorf("%s: %s", x.name, d)
		}
		if (w.Stats()["flow.elephant"] == 1) != (x.want != nil) {
			t.Errorf("%s: %d elephants are counted", x.name, w.Stats()["flow.elephant"])
		}
	}
}
