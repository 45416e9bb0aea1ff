package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"ngfw.sh/lab/bench"
)

// dataplaneArea is what packets cost (established, first, dropped, classified) and
// what changes do (changed).
func dataplaneArea(ctx context.Context, opts options) ([]bench.Result, error) {
	var results []bench.Result
	parts := []struct {
		name    string
		measure area
	}{{"classified", classified}, {"changed", changed}, {"established", established}, {"first", firstPackets}, {"dropped", dropped}}
	for _, part := range parts {
		if opts.part != "" && opts.part != part.name {
			continue
		}
		some, err := part.measure(ctx, opts)
		results = append(results, some...)
		if err != nil {
			return results, err
		}
	}
	if results == nil {
		return nil, fmt.Errorf("the data plane has no part %q: classified, changed, established, first, dropped", opts.part)
	}
	return results, nil
}

// saying tells what is measured.
func saying(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "measuring "+format+"\n", args...)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
