package detect

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

// StateConfig bounds what is remembered between flows.
type StateConfig struct {
	Bits       int // of hosts and pairs of hosts, at a time
	Thresholds int // counters of thresholds and filters, at a time
	Tags       int // hosts and sessions that are tagged
}

// DefaultStateConfig is for some ten thousand hosts.
func DefaultStateConfig() StateConfig {
	return StateConfig{Bits: 1 << 17, Thresholds: 1 << 17, Tags: 1 << 12}
}

// State is what detection remembers beside flows. It outlives a Set, and is shared by
// workers.
type State struct {
	bits       table[bitKey, int64] // until when
	thresholds table[limitKey, limitValue]
	tags       table[tagKey, tagValue]
	reputation Reputation
	mu         sync.Mutex // guards datasets, the map
	datasets   map[string]*dataset
	Counters   Counters
}

// Counters are those of a State; they only grow.
type Counters struct {
	Evicted atomic.Uint64 // entries that had to go before their time
	Limited atomic.Uint64 // expressions that met a limit
	Refused atomic.Uint64 // members that a full dataset did not take
	Alerts  atomic.Uint64
	Dropped atomic.Uint64 // alerts beyond those of one packet
}

// NewState makes an empty one.
func NewState(cfg StateConfig) *State {
	s := &State{datasets: map[string]*dataset{}}
	s.bits.init(cfg.Bits, &s.Counters.Evicted)
	s.thresholds.init(cfg.Thresholds, &s.Counters.Evicted)
	s.tags.init(cfg.Tags, &s.Counters.Evicted)
	return s
}

type bitKey struct {
	bit  uint32
	a, b netip.Addr
}

// table is a map of bounded size, in parts that are locked apart. When a part is full,
// what has expired goes, else one of a few taken at random that expires first.
type table[K comparable, V expiring] struct {
	seed    maphash.Seed
	parts   [shards]part[K, V]
	evicted *atomic.Uint64
	count   atomic.Int64
}

const shards = 16

// empty says whether there is nothing in it, without a lock: it may be off by what other
// workers do at the moment.
func (t *table[K, V]) empty() bool { return t.count.Load() == 0 }

type part[K comparable, V any] struct {
	mu  sync.Mutex // guards m
	m   map[K]V
	max int
}

type expiring interface{ int64 | limitValue | tagValue }

func expiry[V expiring](v V) int64 {
	switch x := any(v).(type) {
	case int64:
		return x
	case limitValue:
		return x.until
	case tagValue:
		return x.until
	}
	return 0
}

func (t *table[K, V]) init(size int, evicted *atomic.Uint64) {
	t.seed, t.evicted = maphash.MakeSeed(), evicted
	for i := range t.parts {
		t.parts[i].m = map[K]V{}
		t.parts[i].max = max(size/shards, 1)
	}
}

// update changes the value of a key: f gets what it is, or the zero V, and says what it
// shall be; keep false removes it.
func (t *table[K, V]) update(k K, now int64, f func(v V, found bool) (to V, keep bool)) {
	p := &t.parts[maphash.Comparable(t.seed, k)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	v, found := p.m[k]
	to, keep := f(v, found)
	switch {
	case keep:
		if !found && len(p.m) >= p.max {
			t.evict(p, now)
		}
		p.m[k] = to
		if !found {
			t.count.Add(1)
		}
	case found:
		delete(p.m, k)
		t.count.Add(-1)
	}
}

func (t *table[K, V]) get(k K) (V, bool) {
	p := &t.parts[maphash.Comparable(t.seed, k)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.m[k]
	return v, ok
}

// evict makes room. The order of a map is random, which is what makes the choice hard to
// foresee.
func (t *table[K, V]) evict(p *part[K, V], now int64) {
	var victim K
	first, looked, removed := int64(0), 0, 0
	for k, v := range p.m {
		e := expiry(v)
		if e < now {
			delete(p.m, k)
			t.count.Add(-1)
			removed++
		} else if looked == 0 || e < first {
			victim, first = k, e
		}
		if looked++; looked >= 16 {
			break
		}
	}
	if removed == 0 {
		delete(p.m, victim)
		t.count.Add(-1)
		t.evicted.Add(1)
	}
}

// Sizes are how many bits, counters and tags are remembered.
func (s *State) Sizes() (bits, thresholds, tags int64) {
	return s.bits.count.Load(), s.thresholds.count.Load(), s.tags.count.Load()
}
