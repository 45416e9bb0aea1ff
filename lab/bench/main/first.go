package main

import (
	"context"
	"fmt"
	"path/filepath"

	"ngfw.sh/lab/bench"
	"ngfw.sh/lab/bench/liveframe"
)

// rules of the policy whose first packets are measured.
const rules = 10_000

// firstPackets is what the first packet of a flow costs under a large policy.
func firstPackets(ctx context.Context, opts options) ([]bench.Result, error) {
	ours := liveframe.AgentRules(filepath.Join(opts.bin, "ngfw-agent"), rules)
	linear, interval, shared := liveframe.NFTLinear(rules), liveframe.NFTMap(rules), liveframe.NFTShared()
	cases := []liveframe.Case{ours, linear, interval, shared}
	saying("first packets, %d rules", rules)
	measured, err := liveframe.FirstPackets(ctx, cases, rules, opts.repeats)
	if err != nil {
		return nil, err
	}
	costs := map[string][]float64{}
	for i, turns := range measured {
		for _, m := range turns {
			costs[cases[i].Name] = append(costs[cases[i].Name], m.Cost)
		}
	}
	name := fmt.Sprintf("first packet of a flow, %d rules", rules)
	note := fmt.Sprintf("64-byte UDP, conntrack and masquerade on, the rule uniformly placed; median of %d", opts.repeats)
	figure := bench.Figure(name, median(costs[ours.Name]), "ns", bench.Lower)
	against := func(c liveframe.Case, floor float64) bench.Result {
		return figure.Against(c.Name, median(costs[c.Name])).AtLeast(floor).Noting(note)
	}
	return []bench.Result{
		against(linear, 15),
		against(interval, 1/1.5),
		bench.Figure("of it routing, conntrack and translation, which all have in common", median(costs[shared.Name]), "ns", bench.Lower).
			Noting("nft without rules, in the same run"),
	}, nil
}
