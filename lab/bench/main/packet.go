package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"ngfw.sh/lab/bench"
	"ngfw.sh/lab/bench/liveframe"
)

// mainArea is the way of a row, of a change, and of a packet through the router.
func mainArea(ctx context.Context, opts options) ([]bench.Result, error) {
	results, err := latencies(ctx, opts)
	if err != nil {
		return results, err
	}
	more, err := packets(ctx, opts)
	results = append(results, more...)
	if err != nil {
		return results, err
	}
	more, err = dashboard(ctx)
	return append(results, more...), err
}

// packets compares what a packet costs our router with what it costs one that
// only forwards and one that nft filters by the same few rules.
func packets(ctx context.Context, opts options) ([]bench.Result, error) {
	var results []bench.Result
	ours := liveframe.Agent(filepath.Join(opts.bin, "ngfw-agent"), "auto")
	rivals := []liveframe.Case{liveframe.Plain, liveframe.NFT, liveframe.NFTMasquerade}
	for _, flows := range []int{1, 1 << 15} {
		cfg := liveframe.DefaultConfig()
		cfg.Flows = flows
		costs := map[string]liveframe.Measurement{}
		for _, c := range append(rivals, ours) {
			fmt.Fprintf(os.Stderr, "measuring %s, %s\n", c.Name, counted(flows))
			m, err := liveframe.Measure(ctx, cfg, c)
			if err != nil {
				return results, err
			}
			costs[c.Name] = m
		}
		mine := costs[ours.Name]
		note := fmt.Sprintf("%s; 64-byte UDP, one core; generator and sink (%.0f ns) subtracted", ours.Name, mine.Overhead)
		for _, rival := range rivals {
			name := fmt.Sprintf("packet of %s, against %s", counted(flows), rival.Name)
			results = append(results, bench.Figure(name, mine.Cost, "ns", bench.Lower).Against(rival.Name, costs[rival.Name].Cost).Noting(note))
		}
	}
	return results, nil
}

func counted(flows int) string {
	if flows == 1 {
		return "one flow"
	}
	return fmt.Sprintf("%d flows", flows)
}
