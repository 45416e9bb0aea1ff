package main

import (
	"context"
	"fmt"
	"path/filepath"

	"ngfw.sh/lab/bench"
	"ngfw.sh/lab/bench/liveframe"
)

// dropped is what a packet costs that a set of a million prefixes drops, or not.
func dropped(ctx context.Context, opts options) ([]bench.Result, error) {
	const prefixes = 1_000_000
	const rival = "nft set in netdev ingress"
	var results []bench.Result
	for _, v6 := range []bool{false, true} {
		family := map[bool]string{false: "IPv4", true: "IPv6"}[v6]
		saying("a set of %d prefixes, %s: nft takes half a minute to load it", prefixes, family)
		ours, theirs, err := liveframe.Lists(ctx, filepath.Join(opts.bin, "ngfw-agent"), v6, prefixes, opts.repeats)
		if err != nil {
			return results, err
		}
		cost := func(all []liveframe.ListMeasurement) float64 {
			var v []float64
			for _, m := range all {
				v = append(v, m.Cost)
			}
			return median(v)
		}
		results = append(results,
			bench.Figure(fmt.Sprintf("packet against a set of %d prefixes, %s", prefixes, family), cost(ours), "ns", bench.Lower).
				Against(rival, cost(theirs)).AtLeast(3).Noting(fmt.Sprintf("random sources, half of them in the set; counts compared; median of %d", opts.repeats)),
			bench.Figure(fmt.Sprintf("time to load a set of %d prefixes, %s", prefixes, family), ours[0].Load.Seconds(), "s", bench.Lower).
				Against(rival, theirs[0].Load.Seconds()).AtLeast(10).Noting("from the file to the first packet"))
	}
	return results, nil
}
