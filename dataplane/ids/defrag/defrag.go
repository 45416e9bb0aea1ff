// Package defrag owns putting IP fragments together again, the way the target would.
//
// Where fragments overlap with different bytes, hosts disagree on which to take; an
// attacker who knows the target shows it other bytes than us. So the policy is that of
// the destination (Suricata manual, host-os-policy). Trackers are bounded in number,
// bytes and age: the oldest goes first. A Table is for one goroutine and
// reads no clock but the packets'.
package defrag

import (
	"container/list"
	"net/netip"

	"ngfw.sh/dataplane/ids/packet"
)

// Config bounds defragmentation.
type Config struct {
	Timeout  int64 // nanoseconds
	Trackers int
	Memory   int // bytes held
	// Policy is that of a destination.
	Policy func(netip.Addr) Policy
}

// DefaultConfig is that of a stock suricata.yaml.
func DefaultConfig() Config {
	return Config{
		Timeout: 60e9, Trackers: 65535, Memory: 32 << 20,
		Policy: func(netip.Addr) Policy { return Windows },
	}
}

// Counters count what happened.
type Counters struct {
	Fragments, Reassembled, TimedOut, Evicted uint64
}

// Table holds fragments of incomplete packets.
type Table struct {
	cfg      Config
	trackers map[key]*tracker
	order    list.List // of *tracker, the one unchanged longest in front
	memory   int
	out      [][]byte // whole packets, kept until the next frame
	number   uint64
	Counters Counters
}

type key struct {
	src, dst netip.Addr
	id       uint32
	protocol uint8
	version  uint8
	vlans    [3]uint16
}

// New makes an empty table.
func New(cfg Config) *Table {
	return &Table{cfg: cfg, trackers: map[key]*tracker{}}
}

const maxPacket = 65535

// Add implements packet.Defragmenter.
func (t *Table) Add(p *packet.Packet) []byte {
	t.Counters.Fragments++
	if p.Number != t.number {
		t.number, t.out = p.Number, t.out[:0]
	}
	t.expire(p.Time)
	part := &p.Part
	tooLarge, overlap := packet.IPv4FragPktTooLarge, packet.IPv4FragOverlap
	limit := maxPacket - 20
	if p.Version == 6 {
		tooLarge, overlap = packet.IPv6FragPktTooLarge, packet.IPv6FragOverlap
		limit = maxPacket
	}
	if part.Offset+len(part.Data) > limit {
		p.Events.Add(tooLarge)
		return nil
	}
	k := key{src: p.Src, dst: p.Dst, id: part.ID, version: p.Version, vlans: p.VLANs}
	if p.Version == 4 {
		k.protocol = p.Protocol
	}
	tr := t.trackers[k]
	if tr == nil {
		tr = &tracker{key: k, end: -1, policy: t.cfg.Policy(p.Dst)}
		t.trackers[k] = tr
		tr.element = t.order.PushBack(tr)
	} else {
		t.order.MoveToBack(tr.element)
	}
	tr.seen = p.Time
	before := tr.memory
	if tr.add(part, p.IP) {
		p.Events.Add(overlap)
	}
	t.memory += tr.memory - before
	if whole := tr.whole(p.Version); whole != nil {
		t.drop(tr)
		if len(whole) > maxPacket+40 {
			p.Events.Add(tooLarge)
			return nil
		}
		t.Counters.Reassembled++
		t.out = append(t.out, whole)
		return whole
	}
	for t.memory > t.cfg.Memory || len(t.trackers) > t.cfg.Trackers {
		t.drop(t.order.Front().Value.(*tracker))
		t.Counters.Evicted++
	}
	return nil
}

// Held is how many bytes are held.
func (t *Table) Held() int { return t.memory }

func (t *Table) expire(now int64) {
	for e := t.order.Front(); e != nil; e = t.order.Front() {
		tr := e.Value.(*tracker)
		if now-tr.seen <= t.cfg.Timeout {
			return
		}
		t.drop(tr)
		t.Counters.TimedOut++
	}
}

func (t *Table) drop(tr *tracker) {
	t.memory -= tr.memory
	t.order.Remove(tr.element)
	delete(t.trackers, tr.key)
}
