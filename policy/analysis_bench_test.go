package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"ngfw.sh/policy"
)

// wildRules is a policy of rules that overlap widely, in one zone pair: the
// hardest for an analysis.
func wildRules(t testing.TB, n int) policy.Policy {
	p := manyRules(t, n)
	for i := range p.Rules {
		r := &p.Rules[i]
		r.ZoneFrom, r.ZoneTo, r.Protocol, r.Port, r.ICMPTypes = "Z0", "Z1", "tcp", fmt.Sprintf("%d-%d", i*7%5000, 5000+i*13%6000), nil
		r.Source, r.Destination = fmt.Sprintf("10.%d.0.0-10.%d.255.255", i*31%97, 97+i*17%150), fmt.Sprintf("172.16.%d.0-172.16.%d.255", i*5%120, 120+i*11%130)
		if i%3 == 0 {
			r.Action = policy.Drop
		}
	}
	return p
}

func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct {
		name  string
		rules func(testing.TB, int) policy.Policy
		n     int
	}{{"access", manyRules, 1_000}, {"access", manyRules, 10_000}, {"wild", wildRules, 100}, {"wild", wildRules, 1_000}, {"wild", wildRules, 4_000}} {
		b.Run(fmt.Sprintf("%s/rules=%d", c.name, c.n), func(b *testing.B) {
			p := c.rules(b, c.n)
			for b.Loop() {
				list, err := policy.Check(p, policy.Env{})
				if err != nil {
					b.Fatal(err)
				}
				undecided := 0
				for _, f := range list {
					if f.Kind == policy.Undecided {
						undecided++
					}
				}
				b.ReportMetric(float64(len(list)), "findings")
				b.ReportMetric(float64(undecided), "undecided")
			}
		})
	}
}

// BenchmarkDiff changes one rule of many.
func BenchmarkDiff(b *testing.B) {
	for _, c := range []struct {
		name  string
		rules func(testing.TB, int) policy.Policy
		n     int
	}{{"access", manyRules, 1_000}, {"access", manyRules, 10_000}, {"wild", wildRules, 100}, {"wild", wildRules, 1_000}, {"wild", wildRules, 4_000}} {
		b.Run(fmt.Sprintf("%s/rules=%d", c.name, c.n), func(b *testing.B) {
			p := c.rules(b, c.n)
			q := p
			q.Rules = slices.Clone(p.Rules)
			q.Rules[c.n/2].Action = policy.Reject
			for b.Loop() {
				list, err := policy.Diff(p, q, policy.Env{})
				if err != nil {
					b.Log(err)
				}
				b.ReportMetric(float64(len(list)), "boxes")
			}
		})
	}
}
