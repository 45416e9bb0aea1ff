package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ngfw.sh/lab/bench"
	"ngfw.sh/lab/bench/liveframe"
)

// repeats of each measurement of an area, in turn: a figure is their median.
const repeats = 3

// dataplaneArea is what a packet of an established flow costs by each form of
// the fast path. The rounds last longer than the second after which a packet of
// each flow takes the long way, so that its cost is in the figure.
func dataplaneArea(ctx context.Context, opts options) ([]bench.Result, error) {
	agent := filepath.Join(opts.bin, "ngfw-agent")
	xdp, tc, off := liveframe.Agent(agent, "xdp"), liveframe.Agent(agent, "auto"), liveframe.Agent(agent, "off")
	rival := liveframe.NFTMasquerade
	var results []bench.Result
	for _, load := range []struct {
		flows, frames int
		floor         float64
	}{{1, 3_000_000, 5}, {1 << 15, 3_000_000, 3}} {
		cfg := liveframe.Config{Frames: load.frames, Rounds: 3, Flows: load.flows}
		costs := map[string][]float64{}
		for i := range repeats {
			for _, c := range []liveframe.Case{rival, xdp, tc, off} {
				fmt.Fprintf(os.Stderr, "measuring %s, %s, %d of %d\n", c.Name, counted(load.flows), i+1, repeats)
				m, err := liveframe.Measure(ctx, cfg, c)
				if err != nil {
					return results, err
				}
				costs[c.Name] = append(costs[c.Name], m.Cost)
			}
		}
		figure := func(form string, c liveframe.Case) bench.Result {
			name := fmt.Sprintf("established packet of %s, %s", counted(load.flows), form)
			note := fmt.Sprintf("64-byte UDP, masquerade, policy and counts on, one core; median of %d; frames and counts verified", repeats)
			return bench.Figure(name, median(costs[c.Name]), "ns", bench.Lower).Against(rival.Name, median(costs[rival.Name])).Noting(note)
		}
		results = append(results, figure("fast path in XDP", xdp).AtLeast(load.floor), figure("fast path in TC", tc), figure("no fast path", off))
	}
	return results, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
