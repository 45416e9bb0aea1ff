package devicelink

import (
	"net/netip"
	"sync"
	"time"
)

const maxRemembered = 1 << 16

// door holds connections that have not authenticated yet within bounds, and
// slows an address down that fails to.
type door struct {
	cfg Config
	now func() time.Time

	mu      sync.Mutex
	pending int
	callers map[netip.Prefix]*caller
}

// caller is an address, or an IPv6 network of 64 bits.
type caller struct {
	pending int
	tokens  float64
	at      time.Time // of tokens
}

func newDoor(cfg Config, now func() time.Time) *door {
	return &door{cfg: cfg, now: now, callers: map[netip.Prefix]*caller{}}
}

// prefix is what is counted; addresses that are none share one account.
func prefix(address string) netip.Prefix {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	a := ap.Addr().Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

// enter admits a connection, or not; leave must follow when it did.
func (d *door) enter(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := prefix(address)
	p := d.callers[key]
	if p == nil {
		if len(d.callers) >= maxRemembered {
			d.sweep()
		}
		p = &caller{tokens: float64(d.cfg.AttemptBurst), at: d.now()}
		d.callers[key] = p
	}
	d.refill(p)
	if d.pending >= d.cfg.MaxPending || p.pending >= d.cfg.MaxPendingPeer || p.tokens < 1 {
		return false
	}
	// Taken now and given back by a success, so that many attempts at the same
	// moment cannot share one token.
	p.tokens--
	p.pending++
	d.pending++
	return true
}

// leave ends the attempt; a failed one has cost its token.
func (d *door) leave(address string, failed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending--
	p := d.callers[prefix(address)]
	p.pending--
	if !failed {
		p.tokens = min(p.tokens+1, float64(d.cfg.AttemptBurst))
	}
}

func (d *door) refill(p *caller) {
	now := d.now()
	if d.cfg.AttemptInterval > 0 {
		p.tokens = min(p.tokens+max(0, now.Sub(p.at).Seconds())/d.cfg.AttemptInterval.Seconds(), float64(d.cfg.AttemptBurst))
	}
	p.at = now
}

// sweep forgets callers with nothing against them; if all have, the fuller half is
// forgotten, for the memory is bounded first of all.
func (d *door) sweep() {
	for _, limit := range []float64{float64(d.cfg.AttemptBurst), float64(d.cfg.AttemptBurst) / 2, 0} {
		for key, p := range d.callers {
			d.refill(p)
			if p.pending == 0 && p.tokens >= limit {
				delete(d.callers, key)
			}
		}
		if len(d.callers) < maxRemembered {
			return
		}
	}
}
