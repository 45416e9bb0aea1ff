package dataplane

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// BenchmarkClassify states the cost of the classifier alone, as a multiple of a
// hash lookup among 100,000 keys in the same run: medians of rounds in which
// both take turns, the cost of the questions subtracted.
func BenchmarkClassify(b *testing.B) {
	needRoot(b)
	m, err := NewMeter()
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for _, v6 := range []bool{false, true} {
		for _, family := range policytest.Families {
			for _, n := range []int{10, 1_000, 10_000, 100_000} {
				name := fmt.Sprintf("%s/IPv4/rules=%d", family, n)
				if v6 {
					name = fmt.Sprintf("%s/IPv6/rules=%d", family, n)
				}
				b.Run(name, func(b *testing.B) {
					p := policytest.RuleSet(1, family, v6, n)
					start := time.Now()
					im, err := policy.Compile(p, policy.Env{})
					took := time.Since(start)
					if err != nil {
						b.Fatal(err)
					}
					// A packet in a random place of a random entry, which an earlier
					// one may decide.
					aim := func(r *rand.Rand) policy.ImagePacket {
						return policytest.Aim(r, &im.Entries[r.IntN(len(im.Entries))], v6, false)
					}
					if err := m.Load(im, aim, v6); err != nil {
						b.Fatal(err)
					}
					var hash, judge []float64
					for b.Loop() {
						h, j, err := m.Run()
						if err != nil {
							b.Fatal(err)
						}
						hash, judge = append(hash, h), append(judge, j)
					}
					slices.Sort(hash)
					slices.Sort(judge)
					h, j := hash[len(hash)/2], judge[len(judge)/2]
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(h, "ns/hash")
					b.ReportMetric(j, "ns/judge")
					b.ReportMetric(j/h, "×hash")
					b.ReportMetric(float64(took.Milliseconds()), "ms/compile")
					b.ReportMetric(float64(len(im.Lines)*64)/1024, "KB")
				})
			}
		}
	}
}
