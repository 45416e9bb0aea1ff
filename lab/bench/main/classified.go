package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"ngfw.sh/dataplane"
	"ngfw.sh/lab/bench"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// multiples of a hash lookup that a classification may cost, by rules: the
// access-list family's in IPv4; the others and IPv6 may cost twice that.
var multiples = []struct {
	rules int
	most  float64
}{{10, 0.6}, {1_000, 2}, {10_000, 3}, {100_000, 6}}

// classified is the classifier alone, and what its image takes.
func classified(ctx context.Context, opts options) ([]bench.Result, error) {
	m, err := dataplane.NewMeter()
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var results []bench.Result
	for _, v6 := range []bool{false, true} {
		for i, family := range policytest.Families {
			for _, n := range multiples {
				if err := ctx.Err(); err != nil {
					return results, err
				}
				version := map[bool]string{false: "IPv4", true: "IPv6"}[v6]
				saying("classification, %s, %s, %d rules", family, version, n.rules)
				name := fmt.Sprintf("classification, %s, %s, %d rules", family, version, n.rules)
				im, err := policy.Compile(policytest.RuleSet(1, family, v6, n.rules), policy.Env{})
				if err != nil {
					return results, fmt.Errorf("%s: %w", name, err)
				}
				aim := func(r *rand.Rand) policy.ImagePacket {
					return policytest.Aim(r, &im.Entries[r.IntN(len(im.Entries))], v6, false)
				}
				if err := m.Load(im, aim, v6); err != nil {
					return results, err
				}
				var hash, multiple []float64
				for range opts.repeats {
					h, j, err := m.Run()
					if err != nil {
						return results, err
					}
					hash, multiple = append(hash, h), append(multiple, j/h)
				}
				most := n.most
				if i > 0 || v6 {
					most *= 2
				}
				results = append(results, bench.Figure(name, median(multiple), "hash lookups", bench.Lower).AtLeast(most).
					Noting(fmt.Sprintf("random keys; a lookup among 100,000 keys takes %.0f ns in the same run", median(hash))))
				if n.rules < 100_000 {
					continue
				}
				limit := 64.
				if i == 0 {
					limit = 16
				}
				results = append(results, bench.Figure(fmt.Sprintf("image, %s, %s, %d rules", family, version, n.rules),
					float64(len(im.Lines)*64)/1e6, "MB", bench.Lower).AtLeast(limit))
			}
		}
	}
	return results, nil
}
