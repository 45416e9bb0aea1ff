package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"ngfw.sh/lab/bench"
)

// dataplaneArea is what packets cost: established, first, dropped, classified.
func dataplaneArea(ctx context.Context, opts options) ([]bench.Result, error) {
	var results []bench.Result
	for _, part := range []area{classified, established, firstPackets, dropped} {
		some, err := part(ctx, opts)
		results = append(results, some...)
		if err != nil {
			return results, err
		}
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
