package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"ngfw.sh/lab/bench"
	"ngfw.sh/lab/bench/liveframe"
)

// repeats of each measurement, in turn with the rival's: a figure is the median.
const repeats = 5

// kinds of established traffic. IPv6 is not translated, and its frames are as
// short as they can be.
var kinds = []liveframe.Traffic{{}, {In: true}, {TCP: true}, {TCP: true, In: true}, {V6: true}, {V6: true, TCP: true, In: true}}

// shuffled are some of them in no order; where there is one flow there is none.
var shuffled = []liveframe.Traffic{{Shuffled: true}, {TCP: true, In: true, Shuffled: true}}

// established is what a packet of an established flow costs.
func established(ctx context.Context, opts options) ([]bench.Result, error) {
	agent := filepath.Join(opts.bin, "ngfw-agent")
	xdp, tc, off := liveframe.Agent(agent, "xdp"), liveframe.Agent(agent, "auto"), liveframe.Agent(agent, "off")
	rival := liveframe.NFTMasquerade
	var results []bench.Result
	for _, load := range []struct {
		flows int
		floor float64
	}{{1, 5}, {60_000, 3}} {
		all := kinds
		if load.flows > 1 {
			all = append(slices.Clone(kinds), shuffled...)
		}
		costs := map[string]map[liveframe.Traffic][]float64{}
		for _, group := range []struct {
			cases []liveframe.Case
			kinds []liveframe.Traffic
		}{{[]liveframe.Case{rival, xdp}, all}, {[]liveframe.Case{tc, off}, kinds[:1]}} { // the latter for comparison: no floor, one kind
			for _, c := range group.cases {
				costs[c.Name] = map[liveframe.Traffic][]float64{}
			}
			for _, t := range group.kinds {
				saying("%s, %v", counted(load.flows), t)
				measured, err := liveframe.Established(ctx, group.cases, load.flows, []liveframe.Traffic{t}, opts.repeats)
				if err != nil {
					return results, err
				}
				for i, turns := range measured[t] {
					for _, m := range turns {
						costs[group.cases[i].Name][t] = append(costs[group.cases[i].Name][t], m.Cost)
					}
				}
			}
		}
		figure := func(t liveframe.Traffic, form string, c liveframe.Case) bench.Result {
			name := fmt.Sprintf("established packet of %s, %v, %s", counted(load.flows), t, form)
			note := fmt.Sprintf("%d-byte frames; policy, counts and masquerade (IPv4) on; each frame verified, counts compared; median of %d", t.Bytes(), opts.repeats)
			return bench.Figure(name, median(costs[c.Name][t]), "ns", bench.Lower).Against(rival.Name, median(costs[rival.Name][t])).Noting(note)
		}
		for _, t := range all {
			results = append(results, figure(t, "fast path in XDP", xdp).AtLeast(load.floor))
		}
		results = append(results, figure(kinds[0], "fast path in TC", tc), figure(kinds[0], "no fast path", off))
	}
	return results, nil
}
