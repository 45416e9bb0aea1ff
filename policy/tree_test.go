package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// first is the first of a pair's entries that matches, found one by one.
func first(im *policy.Image, p policy.ImagePacket) policy.Verdict {
	pair := im.Pairs[int(p.From)*len(im.Zones)+int(p.To)]
	source, destination := netip.AddrFrom16(p.Source), netip.AddrFrom16(p.Destination)
	for _, e := range im.Entries[pair.First : pair.First+pair.Count] {
		if (e.AnyProtocol || e.Protocol == p.Protocol) && p.Port >= e.PortLo && p.Port <= e.PortHi &&
			!source.Less(e.SourceLo) && !e.SourceHi.Less(source) &&
			!destination.Less(e.DestinationLo) && !e.DestinationHi.Less(destination) {
			return e.Verdict
		}
	}
	return pair.Default
}

// agree holds the trees against the entries, for packets in and beside them.
func agree(t testing.TB, im *policy.Image, r *rand.Rand, v6 bool, packets int) {
	t.Helper()
	for range packets {
		p := policytest.Aim(r, &im.Entries[r.IntN(len(im.Entries))], v6, r.IntN(2) == 0)
		if got, want := im.Judge(p), first(im, p); got != want {
			t.Fatalf("%+v\ntrees   %+v\nentries %+v", p, got, want)
		}
	}
}

// TestTreesOfLargeRuleSets also takes 100,000 rules where NGFW_LONG is set.
func TestTreesOfLargeRuleSets(t *testing.T) {
	sizes := []int{10, 1_000, 10_000}
	if os.Getenv("NGFW_LONG") != "" {
		sizes = append(sizes, 100_000)
	}
	for _, family := range policytest.Families {
		for _, v6 := range []bool{false, true} {
			for _, n := range sizes {
				t.Run(fmt.Sprintf("%s/v6=%v/%d", family, v6, n), func(t *testing.T) {
					im := compile(t, policytest.RuleSet(2, family, v6, n))
					agree(t, im, rand.New(rand.NewPCG(3, 4)), v6, min(3_000, 10_000_000/n))
					if limit := max(4096, 20*len(im.Entries)); len(im.Lines) > limit {
						t.Errorf("%d lines for %d entries", len(im.Lines), len(im.Entries))
					}
				})
			}
		}
	}
}

// TestTreesAgreeWithReference draws rule sets of all families, also with broad
// rules in front, and holds the trees against the entries and the evaluator.
func TestTreesAgreeWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom(policytest.Families).Draw(t, "family")
		v6 := rapid.Bool().Draw(t, "v6")
		seed := rapid.Uint64().Draw(t, "seed")
		p := policytest.RuleSet(seed, family, v6, rapid.IntRange(1, 400).Draw(t, "rules"))
		r := rand.New(rand.NewPCG(seed, 1))
		if rapid.Bool().Draw(t, "shuffled") {
			r.Shuffle(len(p.Rules), func(i, j int) { p.Rules[i], p.Rules[j] = p.Rules[j], p.Rules[i] })
		}
		im, err := policy.Compile(p, policy.Env{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			k := policytest.Aim(r, &im.Entries[r.IntN(len(im.Entries))], v6, i%2 == 0)
			got := im.Judge(k)
			if want := first(im, k); got != want {
				t.Fatalf("%+v\ntrees   %+v\nentries %+v", k, got, want)
			}
			if i >= 10 {
				continue // the evaluator reads every rule's text
			}
			want, err := policy.Evaluate(p, policy.Env{}, packetOf(k))
			if err != nil {
				t.Fatal(err)
			}
			if got.Result() != want {
				t.Fatalf("%+v\ntrees     %+v\nreference %+v", k, got.Result(), want)
			}
		}
	})
}

// packetOf writes a packet from LAN to WAN as the evaluator reads it.
func packetOf(k policy.ImagePacket) policy.Packet {
	p := policy.Packet{
		In: "lan0", Out: "wan0", Protocol: k.Protocol, SrcPort: k.SourcePort, DstPort: k.Port,
		Src: netip.AddrFrom16(k.Source).Unmap(), Dst: netip.AddrFrom16(k.Destination).Unmap(),
	}
	if k.Protocol == policy.ProtocolICMP || k.Protocol == policy.ProtocolICMPv6 {
		p.ICMPType, p.ICMPCode, p.DstPort = uint8(k.Port>>8), uint8(k.Port), 0
	}
	return p
}

// hostile are rules that trees are bad at.
func hostile(kind string, n int) policy.Policy {
	r := rand.New(rand.NewPCG(5, 6))
	p := policytest.RuleSet(1, policytest.AccessList, false, 1)
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16&0xff, i>>8&0xff, i&0xff) }
	span := func() string {
		a, b := r.IntN(1<<24), r.IntN(1<<24)
		return address(min(a, b)) + "-" + address(max(a, b))
	}
	p.Rules = p.Rules[:0]
	for i := range n {
		rule := policy.NewRule()
		rule.ID, rule.Name, rule.ZoneFrom, rule.ZoneTo = int64(i+1), fmt.Sprintf("rule %d", i+1), "LAN", "WAN"
		rule.Action = []policy.Action{policy.Accept, policy.Drop, policy.Reject}[i%3]
		switch kind {
		case "crossing": // any two overlap, and none holds another
			rule.Source = address(i) + "-" + address(1<<23+i)
			rule.Destination = address(n-i) + "-" + address(1<<23+n-i)
		case "random":
			rule.Source, rule.Destination = span(), span()
		case "onion": // each holds all before
			rule.Source, rule.Destination = address(n-i)+"-"+address(1<<23+i), address(n-i)+"-"+address(1<<23+i)
		case "grid": // stripes one way over stripes the other way
			rule.Source = address(16*i) + "-" + address(16*i+40)
			if i%2 == 1 {
				rule.Source, rule.Destination = "any", rule.Source
			}
		case "one start":
			rule.Source = address(1) + "-" + address(1+r.IntN(1<<23))
			rule.Destination = address(r.IntN(1<<23)) + "-" + address(1<<23)
		}
		p.Rules = append(p.Rules, rule)
	}
	return p
}

func TestTreesOfHostileRules(t *testing.T) {
	for _, kind := range []string{"crossing", "random", "onion", "grid", "one start"} {
		t.Run(kind, func(t *testing.T) {
			for _, n := range []int{9, 17, 300, policy.MaxLeaf} {
				im := compile(t, hostile(kind, n)) // up to MaxLeaf nothing is refused
				agree(t, im, rand.New(rand.NewPCG(7, 8)), false, 1_000)
				longest := im.LongestLeaf(im.Pairs[2*len(im.Zones)+3].Tree4)
				t.Logf("%d rules: %d lines, the longest leaf has %d entries", n, len(im.Lines), longest)
				if kind == "crossing" && n == policy.MaxLeaf && longest != n {
					t.Errorf("the longest leaf has %d entries: nothing walks one of the greatest length", longest)
				}
				if limit := max(1024, 20*n); len(im.Lines) > limit {
					t.Errorf("%d lines for %d rules, more than %d", len(im.Lines), n, limit)
				}
			}
		})
	}
}

func TestCompileRefusesWhatNoTreeHolds(t *testing.T) {
	_, err := policy.Compile(hostile("crossing", 8_000), policy.Env{})
	if err == nil {
		t.Fatal("it compiles")
	}
	if !fault.Is(err, fault.InvalidConfig) {
		t.Errorf("no fault of the input: %v", err)
	}
	for _, part := range []string{"rules[", "from LAN to WAN", "8000 entries for IPv4", "overlap so much", "the limit is 4096", "the costliest is rule"} {
		if !strings.Contains(fields(err), part) {
			t.Errorf("%q is not in %s", part, fields(err))
		}
	}
}
