package ids_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/traffic"
)

// Each kind of what is kept has a bound, and what does not fit is counted under its name.
func TestBoundsAreCounted(t *testing.T) {
	holes := func(x *traffic.Traffic) { // segments that wait for one that never comes
		for range 64 {
			c := x.Connect(9000)
			c.Say(0, []byte("begin"))
			from := len(x.Frames)
			c.Say(0, make([]byte, 20_000))
			rest := slices.Clone(x.Frames[from+1:])
			x.Frames = append(x.Frames[:from], slices.DeleteFunc(rest, func(f traffic.Frame) bool {
				return binary.BigEndian.Uint16(f.Data[20:]) == 9000 // nor is any acknowledged
			})...)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*ids.Config)
		send   func(*traffic.Traffic)
		count  string
		held   string
		most   uint64
	}{
		{"flows", func(c *ids.Config) { c.Flows.Max = 8 }, func(x *traffic.Traffic) {
			for range 100 {
				x.Connect(80)
			}
		}, "flow.get_used", "flow.active", 8},
		{"segments by memory", func(c *ids.Config) { c.Stream.Memory = 100_000 }, holes, "tcp.segment_memcap_drop", "tcp.reassembly_memuse", 1 << 20},
		{"segments by number", func(c *ids.Config) { c.Stream.MaxSpans = 4 }, holes, "tcp.segment_refused", "tcp.reassembly_memuse", 4 << 20},
		{"transactions", func(c *ids.Config) { c.Limits.Transactions = 16 }, func(x *traffic.Traffic) {
			c := x.Connect(80)
			for i := range 200 {
				c.Say(0, fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i))
			}
		}, "app_layer.error", "", 0},
	} {
		cfg := inline()
		c.change(&cfg)
		e, _ := engine(t, cfg, seesEvil)
		w := e.Worker()
		x := traffic.New()
		c.send(x)
		run(w, x.Frames)
		s := w.Stats()
		if s[c.count] == 0 {
			t.Errorf("%s: %s is %d", c.name, c.count, s[c.count])
		}
		if c.held != "" && s[c.held] > c.most {
			t.Errorf("%s: %s is %d", c.name, c.held, s[c.held])
		}
	}
}
