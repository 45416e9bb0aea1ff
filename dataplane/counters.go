package dataplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// Counter is what one decider or drop reason has seen.
type Counter struct {
	Packets uint64 // on the wire
	Bytes   uint64 // IP lengths
	Last    time.Time
}

// DropReason is an enum reason of bpf/abi/abi.h.
type DropReason uint32

var dropNames = []string{
	1: "malformed", 2: "no_zone", 3: "no_state", 4: "wrong_zone", 5: "egress_zone", 6: "unjudged",
	7: "flow_table_full", 8: "fragment", 9: "no_image", 10: "policy", 11: "forged_source", 12: "nat_mismatch", 13: "nat_changed",
	14: "drop_list", 15: "source_flood", 16: "syn_flood", 17: "threat",
}

// DropThreat is of packets of a flow that the matcher has cut off.
const DropThreat DropReason = 17

func (r DropReason) String() string {
	if int(r) < len(dropNames) && dropNames[r] != "" {
		return dropNames[r]
	}
	return fmt.Sprintf("reason_%d", uint32(r))
}

// Stats are the data plane's own counts since its maps were made.
type Stats struct {
	Packets, Bytes         uint64 // judged
	EventsLost             uint64 // the ring was full; scanning makes up for all but refusals
	FlowsOpened, Adopted   uint64
	Rejudged               uint64
	NoCounter, LearnFailed uint64 // must stay 0

	FastPackets, FastBytes uint64 // of those judged: by the fast path
	FastLearned            uint64 // ways of the fast path that were learnt
	FastFull               uint64 // times that its table had no room
}

// Counters are absolute counts by decider, as long as the maps live.
func (d *Dataplane) Counters() (map[policy.Decider]Counter, error) {
	if err := d.settle(); err != nil {
		return nil, err
	}
	out := map[policy.Decider]Counter{}
	var key uint32
	var perCPU []bpfobj.TcCounter
	it := d.tc.Counters.Iterate()
	for it.Next(&key, &perCPU) {
		if i, ok := nearRule(key); ok {
			if err := d.near.read(i, perCPU); err != nil {
				return nil, fmt.Errorf("read rule counters: %w", err)
			}
		}
		out[policy.Decider(key)] = sum(perCPU)
	}
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return nil, fmt.Errorf("read rule counters: %w", err)
	}
	return out, nil
}

// Drops are absolute counts by reason; those that never happened are there too.
func (d *Dataplane) Drops() (map[DropReason]Counter, error) {
	out := map[DropReason]Counter{}
	for r := range dropNames {
		if dropNames[r] == "" {
			continue
		}
		var perCPU []bpfobj.TcCounter
		if err := d.tc.Drops.Lookup(uint32(r), &perCPU); err != nil {
			return nil, fmt.Errorf("read drop counters: %w", err)
		}
		out[DropReason(r)] = sum(perCPU)
	}
	return out, nil
}

// Stats reads the data plane's own counts.
func (d *Dataplane) Stats() (Stats, error) {
	var s Stats
	if err := d.settle(); err != nil {
		return s, err
	}
	return s, errors.Join(
		addUp(d.tc.Stats, &s.Packets, &s.Bytes, &s.EventsLost, &s.FlowsOpened, &s.Adopted, &s.Rejudged, &s.NoCounter, &s.LearnFailed),
		addUp(d.tc.FastStats, &s.FastPackets, &s.FastBytes, &s.FastLearned, &s.FastFull),
	)
}

// addUp reads the elements of a per-CPU array.
func addUp(m *ebpf.Map, to ...*uint64) error {
	for i, sum := range to {
		var perCPU []uint64
		if err := m.Lookup(uint32(i), &perCPU); err != nil {
			return fmt.Errorf("read statistics: %w", err)
		}
		for _, v := range perCPU {
			*sum += v
		}
	}
	return nil
}

func sum(perCPU []bpfobj.TcCounter) Counter {
	var c Counter
	var last uint64
	for _, v := range perCPU {
		c.Packets += v.Packets
		c.Bytes += v.Bytes
		last = max(last, v.Last)
	}
	if last > 0 {
		c.Last = flow.WallClock(last)
	}
	return c
}

// deciders are all that an image can name, and those that need no image.
func deciders(im *policy.Image) map[uint32]struct{} {
	out := make(map[uint32]struct{}, len(im.Legend.Rules)+64)
	add := func(d policy.Decider) { out[uint32(d)] = struct{}{} }
	add(policy.NewDecider(policy.DeciderPolicy, 0))
	add(policy.NewDecider(policy.DeciderDefault, 0))
	for id := range uint32(8) {
		add(policy.NewDecider(policy.DeciderSystem, id))
	}
	for id := range dropNames {
		add(policy.NewDecider(policy.DeciderReason, uint32(id)))
	}
	for _, p := range im.Pairs {
		add(p.Default.Decider)
	}
	last := policy.Decider(0)
	for i := range im.Entries {
		if d := im.Entries[i].Verdict.Decider; d != last { // a rule's stand together
			add(d)
			last = d
		}
	}
	natDeciders(&im.NAT, add)
	return out
}

// prepareCounters sees to it that every decider of an image can count before it decides.
func (d *Dataplane) prepareCounters(names map[uint32]struct{}) error {
	if d.counted == nil {
		counters, err := d.Counters()
		if err != nil {
			return err
		}
		d.counted = make(map[uint32]struct{}, len(counters))
		for id := range counters {
			d.counted[uint32(id)] = struct{}{}
		}
	}
	zero := make([]bpfobj.TcCounter, ebpf.MustPossibleCPU())
	for id := range names {
		if _, ok := d.counted[id]; ok {
			continue
		}
		if err := d.makeCounter(id, zero); err != nil {
			return fmt.Errorf("make a counter: %w", err)
		}
		d.counted[id] = struct{}{}
	}
	return nil
}

// makeCounter makes one, if there is none, from zero. The kernel takes memory for them from
// a reserve that it refills behind our back; many at once find it empty.
func (d *Dataplane) makeCounter(id uint32, zero []bpfobj.TcCounter) error {
	const patience = time.Second
	for from := time.Now(); ; time.Sleep(time.Millisecond) {
		err := d.tc.Counters.Update(id, zero, ebpf.UpdateNoExist)
		if errors.Is(err, unix.ENOMEM) && time.Since(from) < patience {
			continue
		}
		if errors.Is(err, ebpf.ErrKeyExist) {
			return nil
		}
		if at, ok := nearRule(id); ok && err == nil {
			return d.near.clear(at)
		}
		return err
	}
}

// dropCounters removes the counters of rules that neither this image nor the
// one before names: flows under the one before may still count.
func (d *Dataplane) dropCounters(im *policy.Image, now map[uint32]struct{}) {
	for id := range im.Legend.Rules { // a disabled rule keeps its counts
		now[uint32(policy.NewDecider(policy.DeciderRule, uint32(id)))] = struct{}{}
	}
	for id := range im.Legend.NAT {
		now[uint32(policy.NewDecider(policy.DeciderNAT, uint32(id)))] = struct{}{}
		now[uint32(policy.NewDecider(policy.DeciderTranslation, uint32(id)))] = struct{}{}
	}
	if d.previous != nil {
		for id := range d.counted {
			_, used := now[id]
			_, recent := d.previous[id]
			if !used && !recent {
				d.tc.Counters.Delete(id) // absent already is as good
				delete(d.counted, id)
			}
		}
	}
	d.previous = now
}
