package policytest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"ngfw.sh/policy"
)

// Family is a kind of large rule set, in the manner of ClassBench (Taylor and
// Turner, 2007): the three differ in how many rules leave a side open, how long
// their prefixes are and how deeply they nest.
type Family string

const (
	AccessList Family = "access-list" // destinations mostly hosts and small nets, few open sides
	Firewall   Family = "firewall"    // open sides and broad port ranges everywhere
	IPChain    Family = "ip-chain"    // between the two, prefixes of all lengths
)

// Families are all of them.
var Families = []Family{AccessList, Firewall, IPChain}

// character is what makes a family, in percent.
type character struct {
	openSource, openDestination int
	lengths4, lengths6          []int // of prefixes, drawn evenly
	openService, openPort       int
	rangePort                   int
	addressRange                int
}

var characters = map[Family]character{
	AccessList: {
		openSource: 20, openDestination: 5, openService: 8, openPort: 20, rangePort: 15, addressRange: 4,
		lengths4: []int{8, 16, 20, 22, 24, 24, 24, 26, 27, 28, 30, 32, 32, 32, 32, 32},
		lengths6: []int{32, 40, 48, 48, 56, 64, 64, 64, 96, 128, 128, 128},
	},
	Firewall: {
		openSource: 45, openDestination: 40, openService: 5, openPort: 25, rangePort: 35, addressRange: 6,
		lengths4: []int{1, 4, 8, 12, 16, 16, 20, 24, 24, 28, 32, 32, 32},
		lengths6: []int{3, 16, 32, 32, 48, 48, 64, 64, 128, 128},
	},
	IPChain: {
		openSource: 25, openDestination: 20, openService: 15, openPort: 30, rangePort: 20, addressRange: 4,
		lengths4: []int{4, 8, 10, 12, 14, 16, 18, 20, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32},
		lengths6: []int{8, 20, 32, 36, 40, 44, 48, 52, 56, 60, 64, 80, 112, 120, 128},
	},
}

// RuleSet makes n different rules of a family from LAN to WAN, the same ones
// for the same seed. As people write them, broad rules stand behind narrow ones
// on the whole, but far from always; none is open on all sides. It panics where
// the family does not have n different ones.
func RuleSet(seed uint64, family Family, v6 bool, n int) policy.Policy {
	g := &ruleSet{Rand: rand.New(rand.NewPCG(seed, uint64(n))), character: characters[family], v6: v6}
	for range 4 + n/24 {
		g.nets = append(g.nets, g.net())
	}
	type placed struct {
		rule  policy.Rule
		place float64
	}
	rules := make([]placed, 0, n)
	seen := make(map[[4]string]bool, n)
	for misses := 0; len(rules) < n; {
		r, breadth := g.rule()
		what := [4]string{r.Source, r.Destination, r.Protocol, r.Port}
		if breadth == 3 || seen[what] {
			if misses++; misses > 100*n {
				panic(fmt.Sprintf("%s has no %d different rules", family, n))
			}
			continue
		}
		seen[what] = true
		rules = append(rules, placed{r, breadth + 1.5*g.Float64()})
	}
	slices.SortStableFunc(rules, func(a, b placed) int { return cmp.Compare(a.place, b.place) })
	p := policy.Policy{
		Revision: 1, TimeZone: "UTC",
		Zones: []policy.Zone{
			{ID: 1, Name: "LAN", Interfaces: []string{"lan0"}},
			{ID: 2, Name: "WAN", Interfaces: []string{"wan0"}},
		},
		Rules:    make([]policy.Rule, n),
		Policies: []policy.Default{{From: "LAN", To: "WAN", Action: policy.Drop}},
	}
	for i := range rules {
		p.Rules[i] = rules[i].rule
		p.Rules[i].ID, p.Rules[i].Name = int64(i+1), fmt.Sprintf("rule %d", i+1)
	}
	return p
}

type ruleSet struct {
	*rand.Rand
	character
	v6   bool
	nets []netip.Addr
}

func (g *ruleSet) chance(percent int) bool { return g.IntN(100) < percent }

// net draws where rules cluster: an address whose first 16 bits (IPv6: 32) are
// one of a few, and the rest free.
func (g *ruleSet) net() netip.Addr {
	if len(g.nets) > 0 && g.chance(70) {
		return g.host(g.nets[g.IntN(len(g.nets))], g.from([]int{12, 16, 20}, []int{32, 44, 48}))
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], g.Uint64())
	binary.BigEndian.PutUint64(b[8:], g.Uint64())
	if g.v6 {
		b[0] = 0x20 | b[0]&0x07
		return netip.AddrFrom16(b)
	}
	b[0] = 1 + b[0]%120
	return netip.AddrFrom4([4]byte(b[:4]))
}

func (g *ruleSet) from(v4, v6 []int) int {
	if g.v6 {
		v4 = v6
	}
	return v4[g.IntN(len(v4))]
}

// host draws an address that shares bits with a.
func (g *ruleSet) host(a netip.Addr, bits int) netip.Addr {
	b := a.AsSlice()
	for i := bits; i < len(b)*8; i++ {
		if g.Uint32()&1 == 0 {
			b[i/8] ^= 0x80 >> (i % 8)
		}
	}
	h, _ := netip.AddrFromSlice(b)
	return h
}

// addresses draws a side, and how open it is: 1 for any, 0 for one address.
func (g *ruleSet) addresses(open int) (string, float64) {
	if g.chance(open) {
		return "any", 1
	}
	bits := g.from(g.lengths4, g.lengths6)
	a := g.nets[g.IntN(len(g.nets))]
	if g.chance(80) {
		a = g.host(a, g.from([]int{16, 20, 24}, []int{32, 48, 64}))
	}
	if g.chance(g.addressRange) {
		b := g.host(a, g.from([]int{16, 24, 28}, []int{48, 64, 112}))
		if b.Less(a) {
			a, b = b, a
		}
		return a.String() + "-" + b.String(), 0.3
	}
	return netip.PrefixFrom(a, bits).Masked().String(), 1 - float64(bits)/float64(a.BitLen())
}

var wellKnown = []uint16{20, 21, 22, 23, 25, 53, 67, 69, 80, 110, 111, 123, 135, 139, 143, 161, 389, 443, 445, 500, 514, 636, 993, 995, 1433, 1521, 1723, 3306, 3389, 5060, 5432, 8080, 8443}

// rule draws a rule and how broad it is, from 0 to 3.
func (g *ruleSet) rule() (r policy.Rule, breadth float64) {
	r = policy.NewRule()
	r.ZoneFrom, r.ZoneTo = "LAN", "WAN"
	r.Action = []policy.Action{policy.Accept, policy.Drop, policy.Reject}[g.IntN(3)]
	var source, destination, service float64
	r.Source, source = g.addresses(g.openSource)
	r.Destination, destination = g.addresses(g.openDestination)
	r.Protocol, r.Port, service = g.service()
	return r, source + destination + service
}

func (g *ruleSet) service() (protocol, port string, open float64) {
	if g.chance(g.openService) {
		return "all", "*", 1
	}
	switch n := g.IntN(100); {
	case n < 70:
		protocol = "tcp"
	case n < 92:
		protocol = "udp"
	case n < 96:
		return []string{"icmp", "icmpv6", "gre", "esp"}[g.IntN(4)], "*", 0.5
	default:
		protocol = "tcp+udp"
	}
	switch {
	case g.chance(g.openPort):
		return protocol, "*", 0.8
	case g.chance(g.rangePort):
		first := g.IntN(65000)
		last := first + g.IntN(65536-first)
		switch g.IntN(3) {
		case 0:
			first, last = 1024, 65535
		case 1:
			last = min(first+g.IntN(200), 65535)
		}
		return protocol, fmt.Sprintf("%d-%d", first, last), 0.6
	case g.chance(60):
		return protocol, fmt.Sprint(wellKnown[g.IntN(len(wellKnown))]), 0
	}
	return protocol, fmt.Sprint(1 + g.IntN(65535)), 0
}
