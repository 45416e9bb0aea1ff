package liveframe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench/liveframe/internal/trafficobj"
)

// firstFlows is how many first packets a turn has: as many as a router has ports
// to translate to. Where each is slow, fewer are enough.
const firstFlows = 50_000

func (c *Case) first() int {
	if c.Slow {
		return firstFlows / 5
	}
	return firstFlows
}

// ruleNet is where the rules' sources lie, four addresses each; lan1 is the way
// there.
var ruleNet = netip.MustParsePrefix("10.128.0.0/9")

func ruleSource(rule, host int) netip.Addr {
	a := ruleNet.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(4*rule+host))
	return netip.AddrFrom4(a)
}

// FirstPackets measures what the first packet of a flow costs several routers: each
// frame is one, its source in the place of a random one of so many rules. Sources
// of 0 rules are spread alike. The routers' labs stand side by side and take turns,
// as those of Established do, each turn with other sources and an empty conntrack;
// what a router remembers of earlier turns stays.
func FirstPackets(ctx context.Context, cases []Case, rules, turns int) ([][]Measurement, error) {
	if err := sweep(ctx); err != nil {
		return nil, err
	}
	c := contest{cases: cases, flows: firstFlows, turns: turns}
	all := make([][]Measurement, len(cases))
	err := c.enter(ctx)
	for i := range c.routers {
		if err == nil {
			err = c.routers[i].prepareFirst(cases[i])
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for turn := range turns {
		for i := range cases {
			if err = errors.Join(err, ctx.Err()); err != nil {
				break
			}
			var m Measurement
			if m, err = c.first(cases[i], c.routers[i], r, rules, turn); err != nil {
				err = fmt.Errorf("measure %s: %w", cases[i].Name, err)
			}
			all[i] = append(all[i], m)
		}
	}
	return all, errors.Join(err, c.leave())
}

// prepareFirst has the router know the way back to the rules' sources, and counts
// what arrives.
func (s *stage) prepareFirst(c Case) error {
	seg, _ := lab.SegmentOf(lab.LAN1)
	err := s.In(lab.RTR, func() error {
		return netlink.RouteAdd(&netlink.Route{
			Dst: &net.IPNet{IP: ruleNet.Addr().AsSlice(), Mask: net.CIDRMask(ruleNet.Bits(), 32)}, Gw: seg.Host4.Addr().AsSlice(),
		})
	})
	if err != nil {
		return fmt.Errorf("route the rules' sources: %w", err)
	}
	undo, err := attach(s.Lab, lab.INET, lab.HostPort, s.objects.TrafficSink)
	if err == nil {
		s.closed = append(s.closed, func() error { undo(); return nil })
	}
	return err
}

// first is one turn of a router.
func (c *contest) first(one Case, s *stage, r *rand.Rand, rules, turn int) (m Measurement, err error) {
	t, n := Traffic{}, one.first()
	m = Measurement{Case: one.Name, Flows: n}
	sources := make([]netip.Addr, MaxFlows)
	for i := range sources {
		sources[i] = ruleSource(r.IntN(rules), r.IntN(4))
	}
	for _, at := range []*stage{c.alone, s} {
		if err := at.fillSources(func(i int) netip.Addr { return sources[i] }); err != nil {
			return m, err
		}
	}
	if turn > 0 {
		if err := s.In(lab.RTR, func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) }); err != nil {
			return m, fmt.Errorf("empty conntrack: %w", err)
		}
	}
	if m.Overhead, err = c.alone.alone(t, n, true); err != nil {
		return m, err
	}
	wan, _ := lab.SegmentOf(lab.INET)
	a := wan.Router4.Addr().As4()
	if err := s.expect(trafficobj.TrafficExpected{Ttl: firstTTL - 1, Kind: kindSpread, Flows: uint32(n), Source: binary.NativeEndian.Uint32(a[:])}); err != nil {
		return m, err
	}
	if m.Gross, err = s.generate(t, 0, n, n, true); err != nil {
		return m, err
	}
	got, err := s.arrived()
	switch {
	case err != nil:
		return m, err
	case got.Good != got.All:
		return m, fmt.Errorf("%w: %d of %d", errWrong, got.All-got.Good, got.All)
	case float64(got.All) < float64(n)*(1-tolerance):
		return m, fmt.Errorf("%w: %d of %d came", errLoss, got.All, n)
	}
	m.Cost = m.Gross - m.Overhead
	return m, nil
}

// fillSources sets the sources of the generator's frames, by their number.
func (s *stage) fillSources(source func(int) netip.Addr) error {
	keys, values := make([]uint32, MaxFlows), make([]trafficobj.TrafficSource, MaxFlows)
	for i := range keys {
		keys[i] = uint32(i)
		for w, b := 0, source(i).AsSlice(); w < len(b)/2; w++ {
			values[i].Word[w] = binary.NativeEndian.Uint16(b[2*w:])
		}
	}
	if _, err := s.objects.Sources.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("set the generator's sources: %w", err)
	}
	return nil
}

// nftFirst is masquerade, established flows first, and rules as nft writes them.
func nftFirst(name, chain string) Case {
	return Case{Name: name, Filters: true, Masquerades: true, Prepare: nft(`
table inet filter {
` + chain + `
}
` + masquerade)}
}

// NFTLinear has a rule a line, and they differ in their source.
func NFTLinear(rules int) Case {
	var b strings.Builder
	b.WriteString("chain forward {\n type filter hook forward priority filter; policy drop;\n ct state established,related accept\n ct state invalid drop\n")
	for i := range rules {
		fmt.Fprintf(&b, " ip saddr %v/30 ip daddr 203.0.113.0/30 udp dport 9 accept\n", ruleSource(i, 0))
	}
	b.WriteString("}\n")
	c := nftFirst(fmt.Sprintf("nft, %d rules in a row", rules), b.String())
	c.Slow = true
	return c
}

// NFTMap is the same rules as one interval map.
func NFTMap(rules int) Case {
	var b strings.Builder
	b.WriteString("map verdicts {\n typeof ip saddr . ip daddr . udp dport : verdict\n flags interval\n elements = {\n")
	for i := range rules {
		fmt.Fprintf(&b, " %v/30 . 203.0.113.0/30 . 9 : accept,\n", ruleSource(i, 0))
	}
	b.WriteString(" }\n}\nchain forward {\n type filter hook forward priority filter; policy drop;\n ct state established,related accept\n ct state invalid drop\n ip saddr . ip daddr . udp dport vmap @verdicts\n}\n")
	return nftFirst(fmt.Sprintf("nft, interval map of %d rules", rules), b.String())
}

// NFTShared has no rules: what is left is routing, conntrack and translation,
// the cost that all have in common.
func NFTShared() Case {
	return nftFirst("nft, no rules", "chain forward {\n type filter hook forward priority filter; policy drop;\n ct state established,related,new accept\n}\n")
}

// AgentRules is the agent with the same rules.
func AgentRules(program string, rules int) Case {
	policy := agentPolicy()
	list := []object{}
	for i := range rules {
		list = append(list, object{
			"id": i + 1, "name": "r", "enabled": true, "zone_from": "LAN", "zone_to": "WAN", "action": "accept",
			"source": fmt.Sprintf("%v/30", ruleSource(i, 0)), "destination": "203.0.113.0/30", "protocol": "udp", "port": "9",
		})
	}
	policy["rules"] = list
	policy["policies"] = []object{{"from": "SELF", "to": "any", "action": "accept"}, {"from": "LAN", "to": "SELF", "action": "accept"}}
	return Case{
		Name: "ngfw-agent", Filters: true, Masquerades: true,
		Prepare: func(ctx context.Context, l *lab.Lab) (func(), error) {
			return startAgent(ctx, l, program, "fast_path: xdp\nflow: {max_flows: 262144}\n", policy, func() error {
				s, err := ask(ctx, l, program)
				if err == nil && s.PolicyRevision == 0 {
					err = errors.New("no policy yet")
				}
				return err
			})
		},
	}
}

// waitFor tries until ready says so.
func waitFor(ctx context.Context, limit time.Duration, ended <-chan error, said fmt.Stringer, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case gone := <-ended:
			return fmt.Errorf("the agent ended: %w: %s", errors.Join(gone, err), strings.TrimSpace(said.String()))
		case <-ctx.Done():
			return fmt.Errorf("the agent is not ready: %w: %s", err, strings.TrimSpace(said.String()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// agentFile is a file in the directory of the lab's agent.
func agentFile(l *lab.Lab, name string) string { return filepath.Join(l.Dir(), "agent", name) }
