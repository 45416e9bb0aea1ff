package detect

import "net/netip"

// Snapshot is what a State remembers of hosts and rules, for it to outlive the process:
// bits, counters of thresholds, tags. It encodes as JSON. Datasets have files of their own:
// see Save.
type Snapshot struct {
	Bits   []SavedBit   `json:"bits,omitempty"`
	Limits []SavedLimit `json:"limits,omitempty"`
	Tags   []SavedTag   `json:"tags,omitempty"`
}

// SavedBit is an xbit or hostbit; times are in nanoseconds since 1970.
type SavedBit struct {
	Name  string     `json:"name"`
	A     netip.Addr `json:"a"`
	B     netip.Addr `json:"b"`
	Until int64      `json:"until"`
}

// SavedLimit is the count of a threshold or filter.
type SavedLimit struct {
	Rule   uint64     `json:"rule"` // gid and sid
	Which  uint8      `json:"which"`
	A      netip.Addr `json:"a"`
	B      netip.Addr `json:"b"`
	First  int64      `json:"first"`
	Until  int64      `json:"until"`
	Count  uint32     `json:"count"`
	Next   uint32     `json:"next,omitempty"`
	Active int64      `json:"active,omitempty"`
	Ports  [4]uint64  `json:"ports"`
}

// SavedTag is the tag of a host.
type SavedTag struct {
	Host    netip.Addr `json:"host"`
	Until   int64      `json:"until"`
	Metric  uint8      `json:"metric"`
	Packets uint32     `json:"packets,omitempty"`
	Bytes   uint64     `json:"bytes,omitempty"`
}

// Snapshot takes what holds beyond now. Workers may go on meanwhile.
func (s *State) Snapshot(now int64) (to Snapshot) {
	s.bits.each(now, func(k bitKey, until int64) {
		to.Bits = append(to.Bits, SavedBit{names.name(k.bit), k.a, k.b, until})
	})
	s.thresholds.each(now, func(k limitKey, v limitValue) {
		to.Limits = append(to.Limits, SavedLimit{k.id, k.which, k.a, k.b, v.first, v.until, v.count, v.next, v.active, v.ports})
	})
	s.tags.each(now, func(k tagKey, v tagValue) {
		to.Tags = append(to.Tags, SavedTag{k.host, v.until, v.metric, v.packets, v.bytes})
	})
	return to
}

// Restore adds what a Snapshot has kept and still holds. What there is already stays.
func (s *State) Restore(from Snapshot, now int64) {
	for _, b := range from.Bits {
		if b.Name != "" {
			s.bits.restore(bitKey{names.intern(b.Name), b.A, b.B}, b.Until, now)
		}
	}
	for _, l := range from.Limits {
		s.thresholds.restore(limitKey{l.Rule, l.Which, l.A, l.B}, limitValue{l.First, l.Until, l.Count, l.Next, l.Active, l.Ports}, now)
	}
	for _, t := range from.Tags {
		if t.Metric <= tagBytes && (t.Metric != tagPackets || t.Packets > 0) {
			s.tags.restore(tagKey{t.Host}, tagValue{until: t.Until, packets: t.Packets, bytes: t.Bytes, metric: t.Metric}, now)
		}
	}
}

// each calls f for what has not expired.
func (t *table[K, V]) each(now int64, f func(K, V)) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for k, v := range p.m {
			if expiry(v) >= now {
				f(k, v)
			}
		}
		p.mu.Unlock()
	}
}

func (t *table[K, V]) restore(k K, v V, now int64) {
	if expiry(v) < now {
		return
	}
	t.update(k, now, func(is V, found bool) (V, bool) {
		if found {
			return is, true
		}
		return v, true
	})
}
