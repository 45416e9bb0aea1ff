package dataplane

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// BenchmarkChange states how long it takes until one changed rule of a live
// policy is enforced: compiled, written into the kernel's tables and swapped.
func BenchmarkChange(b *testing.B) {
	for _, family := range policytest.Families {
		b.Run(fmt.Sprintf("%s/rules=10000", family), func(b *testing.B) {
			d := openAt(b, bpffs(b)+"/ngfw", 1024)
			p := policytest.RuleSet(1, family, false, 10_000)
			var compiler policy.Compiler // as the agent has one
			var compiled, swapped []time.Duration
			change := func() {
				p.Revision++
				r := &p.Rules[int(p.Revision*7919)%len(p.Rules)]
				if r.Action == policy.Accept {
					r.Action = policy.Drop
				} else {
					r.Action = policy.Accept
				}
				start := time.Now()
				im, err := compiler.Compile(p, policy.Env{})
				if err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if err := d.Apply(im); err != nil {
					b.Fatal(err)
				}
				compiled, swapped = append(compiled, between.Sub(start)), append(swapped, time.Since(between))
			}
			change() // the first makes the counters of all rules, the second the tables of the other slot
			change()
			compiled, swapped = nil, nil
			for b.Loop() {
				change()
			}
			median := func(all []time.Duration) float64 {
				slices.Sort(all)
				return float64(all[len(all)/2]) / 1e6
			}
			b.ReportMetric(median(compiled), "ms/compile")
			b.ReportMetric(median(swapped), "ms/swap")
		})
	}
}
