package flow

import (
	"net/netip"
	"testing"
	"time"

	"ngfw.sh/policy"
)

func TestCrowdKeepsSums(t *testing.T) {
	var c crowd
	now := time.Unix(1_800_000_000, 0)
	refusal := func(port uint16, protocol uint8) Event {
		total := Counts{PacketsSent: 1, BytesSent: 40}
		return Event{
			FlowID: uint64(port), Kind: Refused, Action: policy.Drop, Decider: policy.NewDecider(policy.DeciderDefault, 0), ZoneIn: 1, ZoneOut: 2,
			Tuple: Tuple{Destination: netip.AddrPortFrom(netip.Addr{}, port), Protocol: protocol}, Delta: total, Total: total, Count: 1,
		}
	}
	own := 0
	for i := range refusalBurst + 500 {
		if c.admit(refusal(uint16(i), 6), now) {
			own++
		}
	}
	for range 5 {
		c.admit(refusal(9, 17), now)
	}
	if own != refusalBurst {
		t.Errorf("%d of a burst have a row", own)
	}
	rows := map[uint8]Event{}
	for _, e := range c.take() {
		rows[e.Tuple.Protocol] = e
	}
	want := map[uint8]uint64{6: 500, 17: 5}
	if len(rows) != len(want) {
		t.Fatalf("%d rows", len(rows))
	}
	for protocol, n := range want {
		sum := Counts{PacketsSent: n, BytesSent: 40 * n}
		if e := rows[protocol]; e.Count != uint32(n) || e.Total != sum || e.Delta != sum || e.Kind != Refused {
			t.Errorf("protocol %d: %+v, want %d", protocol, e, n)
		}
	}
	if e := rows[6]; e.Tuple.Destination.Port() != refusalBurst+499 {
		t.Errorf("not the last of them: %+v", e)
	}
	if left := c.take(); len(left) != 0 {
		t.Errorf("told twice: %+v", left)
	}
	own = 0
	for i := range 2 * refusalRate {
		if c.admit(refusal(uint16(i), 6), now.Add(time.Second)) {
			own++
		}
	}
	if own != refusalRate {
		t.Errorf("%d rows a second later", own)
	}
}
