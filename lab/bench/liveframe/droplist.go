package liveframe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/google/nftables"

	"ngfw.sh/lab"
)

// ListMeasurement is what a large set of prefixes costs.
type ListMeasurement struct {
	Measurement
	Load time.Duration // of the set, from its file
}

// Lists compares the two ways to drop by a set of prefixes: ours, and nft's set
// in netdev ingress. Every frame has a random source, every other of them in
// the set, and is dropped either way: those in the set by it, the others behind
// it. Both count, and their counts are compared with what was sent. Rounds of
// the two take turns.
func Lists(ctx context.Context, agent string, v6 bool, prefixes, rounds int) (ours, rival []ListMeasurement, err error) {
	if err := sweep(ctx); err != nil {
		return nil, nil, err
	}
	set := randomPrefixes(v6, prefixes)
	t := Traffic{V6: v6}
	var stages [2]*listStage
	for i, prepare := range []func(*listStage) error{(*listStage).agent, (*listStage).nft} {
		s, err := newStage(ctx, stageName(i), false)
		if err != nil {
			return nil, nil, err
		}
		defer s.close()
		stages[i] = &listStage{stage: s, ctx: ctx, set: set, program: agent, t: t}
		if err := s.fillSources(keys(v6, set)); err != nil {
			return nil, nil, err
		}
		if stages[i].overhead, err = s.alone(t, MaxFlows, true); err != nil {
			return nil, nil, err
		}
		if err := prepare(stages[i]); err != nil {
			return nil, nil, err
		}
		if stages[i].undo != nil {
			defer stages[i].undo()
		}
	}
	for range rounds {
		for i, to := range []*[]ListMeasurement{&ours, &rival} {
			m, err := stages[i].round()
			if err != nil {
				return nil, nil, err
			}
			*to = append(*to, m)
		}
	}
	return ours, rival, nil
}

type listStage struct {
	*stage
	ctx      context.Context
	t        Traffic
	set      []netip.Prefix
	program  string
	overhead float64
	load     time.Duration
	undo     func()
	hits     func() (hits, others uint64, err error)
}

// round sends frames and compares the counters with them.
func (s *listStage) round() (m ListMeasurement, err error) {
	const frames = 16 * MaxFlows
	m.Load, m.Overhead = s.load, s.overhead
	hits, others, err := s.hits()
	if err != nil {
		return m, err
	}
	if m.Gross, err = s.generate(s.t, 0, MaxFlows, frames, true); err != nil {
		return m, err
	}
	m.Cost = m.Gross - m.Overhead
	nowHits, nowOthers, err := s.hits()
	if err != nil {
		return m, err
	}
	hits, others = nowHits-hits, nowOthers-others
	if !near(hits, frames/2) || !near(others, frames/2) {
		return m, fmt.Errorf("%d frames were dropped by the set and %d behind it, of %d each", hits, others, frames/2)
	}
	return m, nil
}

func near(got, want uint64) bool {
	return float64(got) > float64(want)*(1-tolerance) && float64(got) < float64(want)*(1+tolerance)+100
}

func (s *listStage) agent() error {
	if err := os.MkdirAll(agentFile(s.Lab, ""), 0o700); err != nil {
		return err
	}
	lists := map[string]string{"set": lines(s.set), "rest": "0.0.0.0/0\n::/0\n"}
	for name, text := range lists {
		// The rest comes last, so that what is in the set counts there.
		if err := os.WriteFile(agentFile(s.Lab, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	settings := fmt.Sprintf("drop_lists: [{name: set, file: %q, match: source}, {name: rest, file: %q, match: source}]\n",
		agentFile(s.Lab, "set"), agentFile(s.Lab, "rest"))
	// Loading is measured by replacing the list of a running agent: from the
	// file's place to the table's. It says so itself.
	var err error
	s.undo, err = startAgent(s.ctx, s.Lab, s.program, settings, agentPolicy(), func() error {
		st, err := ask(s.ctx, s.Lab, s.program)
		if err == nil && (st.PolicyRevision == 0 || len(st.DropLists) != 2 || st.DropLists[0].LoadedIn == 0) {
			err = errors.New("the lists are not loaded")
		}
		if err == nil {
			s.load = time.Duration(st.DropLists[0].LoadedIn * float64(time.Second))
		}
		return err
	})
	s.hits = func() (hits, others uint64, err error) {
		st, err := ask(s.ctx, s.Lab, s.program)
		if err != nil || len(st.DropLists) != 2 {
			return 0, 0, fmt.Errorf("ask for the lists: %w", err)
		}
		return st.DropLists[0].Packets, st.DropLists[1].Packets, nil
	}
	return err
}

func (s *listStage) nft() error {
	kind, field := "ipv4_addr", "ip saddr"
	if s.t.V6 {
		kind, field = "ipv6_addr", "ip6 saddr"
	}
	port, _ := lab.SegmentOf(lab.LAN1)
	text := fmt.Sprintf(`table netdev f {
	set feed {
		type %s; flags interval
		elements = { %s }
	}
	counter hits { }
	counter others { }
	chain in {
		type filter hook ingress device "%s" priority 0; policy accept;
		%s @feed counter name hits drop
		udp dport 9 counter name others drop
	}
}
`, kind, strings.ReplaceAll(strings.TrimSpace(lines(s.set)), "\n", ",\n"), port.RouterPort, field)
	began := time.Now()
	if _, err := nft(text)(s.ctx, s.Lab); err != nil {
		return err
	}
	s.load = time.Since(began)
	s.hits = func() (hits, others uint64, err error) {
		err = s.In(lab.RTR, func() error { return nftCounters("f", map[string]*uint64{"hits": &hits, "others": &others}) })
		return hits, others, err
	}
	return nil
}

// nftCounters reads named counters of a netdev table. The nft program would read
// the whole set before.
func nftCounters(table string, to map[string]*uint64) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	objects, err := c.GetObjects(&nftables.Table{Name: table, Family: nftables.TableFamilyNetdev})
	if err != nil {
		return fmt.Errorf("read nft's counters: %w", err)
	}
	found := 0
	for _, o := range objects {
		if counter, ok := o.(*nftables.CounterObj); ok && to[counter.Name] != nil {
			*to[counter.Name] = counter.Packets
			found++
		}
	}
	if found != len(to) {
		return fmt.Errorf("found %d of nft's %d counters", found, len(to))
	}
	return nil
}

func lines(set []netip.Prefix) string {
	var b strings.Builder
	for _, p := range set {
		b.WriteString(p.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// randomPrefixes lie in nets of their own, /24 and /48: they do not touch.
func randomPrefixes(v6 bool, n int) []netip.Prefix {
	r := rand.New(rand.NewPCG(11, 12))
	out, seen := make([]netip.Prefix, 0, n), map[uint64]bool{}
	for len(out) < n {
		v := r.Uint64()
		if v6 {
			v = v>>3&^0xffff | 1<<61
			if seen[v] {
				continue
			}
			seen[v] = true
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], v|r.Uint64()&0xffff)
			out = append(out, netip.PrefixFrom(netip.AddrFrom16(b), []int{48, 56, 64, 64, 128}[r.IntN(5)]).Masked())
			continue
		}
		net := v >> 40
		if first := net >> 16; first == 0 || first == 10 || first == 127 || first == 203 || first >= 224 || seen[net] {
			continue
		}
		seen[net] = true
		b := binary.BigEndian.AppendUint32(nil, uint32(net<<8|v&0xff))
		out = append(out, netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), 24+r.IntN(9)).Masked())
	}
	return out
}

// keys are addresses, every other one in the set.
func keys(v6 bool, set []netip.Prefix) func(int) netip.Addr {
	r := rand.New(rand.NewPCG(13, 14))
	in := map[netip.Prefix]bool{}
	for _, p := range set {
		in[p] = true
	}
	random := func() netip.Addr {
		if v6 {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], r.Uint64()>>3|1<<61)
			binary.BigEndian.PutUint64(b[8:], r.Uint64())
			return netip.AddrFrom16(b)
		}
		b := binary.BigEndian.AppendUint32(nil, r.Uint32())
		b[0] = []byte{1, 8, 23, 45, 77, 99, 120, 150, 180, 200, 210, 220}[r.IntN(12)]
		return netip.AddrFrom4([4]byte(b))
	}
	listed := func(a netip.Addr) bool {
		for n := 24; n <= a.BitLen(); n++ {
			if p, _ := a.Prefix(n); in[p] {
				return true
			}
		}
		return false
	}
	return func(i int) netip.Addr {
		if i%2 == 0 {
			return set[r.IntN(len(set))].Addr()
		}
		for {
			if a := random(); !listed(a) {
				return a
			}
		}
	}
}
