package dataplane

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// TestClassifierAgreesOnLargeRuleSets holds the program against its twin in Go,
// which policy's tests hold against the entries one by one. NGFW_LONG adds
// 100,000 rules.
func TestClassifierAgreesOnLargeRuleSets(t *testing.T) {
	needRoot(t)
	sizes := []int{10, 1_000, 10_000}
	if os.Getenv("NGFW_LONG") != "" {
		sizes = append(sizes, 100_000)
	}
	for _, family := range policytest.Families {
		for _, v6 := range []bool{false, true} {
			for _, n := range sizes {
				t.Run(fmt.Sprintf("%s/v6=%v/%d", family, v6, n), func(t *testing.T) {
					agree(t, policytest.RuleSet(9, family, v6, n), v6, 1_000)
				})
			}
		}
	}
}

// TestClassifierWalksLongLeaves: rules that no tree tells apart.
func TestClassifierWalksLongLeaves(t *testing.T) {
	needRoot(t)
	for _, v6 := range []bool{false, true} {
		p := policytest.RuleSet(1, policytest.AccessList, v6, 1)
		rule := p.Rules[0]
		p.Rules = nil
		address := "10.%d.%d.0-10.%d.%d.0"
		if v6 {
			address = "2001:db8:%x:%x::-2001:db8:%x:%x::"
		}
		for i := range policy.MaxLeaf {
			j := policy.MaxLeaf - i
			rule.ID, rule.Name = int64(i+1), fmt.Sprintf("rule %d", i+1)
			rule.Action = []policy.Action{policy.Accept, policy.Drop}[i%2]
			rule.Source = fmt.Sprintf(address, i>>8, i&0xff, 128+i>>8, i&0xff)
			rule.Destination = fmt.Sprintf(address, j>>8, j&0xff, 128+j>>8, j&0xff)
			p.Rules = append(p.Rules, rule)
		}
		agree(t, p, v6, 2_000)
	}
}

func agree(t *testing.T, p policy.Policy, v6 bool, packets int) {
	t.Helper()
	im, err := policy.Compile(p, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSimulator(im)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 9))
	for range packets {
		packet := policytest.Aim(r, &im.Entries[r.IntN(len(im.Entries))], v6, r.IntN(2) == 0)
		got, err := s.Judge(packet)
		if err != nil {
			t.Fatal(err)
		}
		if want := im.Judge(packet); got != want {
			t.Fatalf("packet  %+v\nprogram %+v\ntwin    %+v", packet, got, want)
		}
	}
}
