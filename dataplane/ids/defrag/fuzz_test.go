package defrag

import (
	"bytes"
	"net/netip"
	"testing"
)

// FuzzTable holds the table to its bounds and its packets to their form, whatever fragments
// come; where none overlap, what comes out is what was cut.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2, 2, 0}, uint8(0))
	f.Add([]byte{1, 200, 1, 0, 2, 1, 3, 9, 0, 0, 255, 1}, uint8(3))
	f.Fuzz(func(t *testing.T, script []byte, policy uint8) {
		cfg := DefaultConfig()
		cfg.Memory, cfg.Trackers = 64<<10, 8
		cfg.Policy = func(netip.Addr) Policy { return Policy(policy) % (Last + 1) }
		table := New(cfg)
		for n := uint64(1); len(script) >= 3; n++ {
			p := fragment(n, int(script[0])*8, script[2]&1 != 0, string(bytes.Repeat([]byte{byte(n)}, int(script[1])*8)))
			p.Part.ID = uint32(script[2] >> 5)
			p.Time = int64(n) * int64(script[2]&30) * 1e9
			script = script[3:]
			if whole := table.Add(p); whole != nil && (len(whole) < 20 || len(whole) > maxPacket+40 || whole[0]>>4 != 4) {
				t.Fatalf("%d bytes make no packet", len(whole))
			}
			if table.memory > cfg.Memory || len(table.trackers) > cfg.Trackers || table.memory < 0 {
				t.Fatalf("%d bytes in %d trackers are held", table.memory, len(table.trackers))
			}
		}
	})
}
