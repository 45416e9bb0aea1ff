// Command main runs the benchmarks of one area: a table on standard output, the
// same in OUT/AREA.json. It exits with 1 if a figure misses its floor.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"ngfw.sh/lab/bench"
)

// options are common to all areas.
type options struct {
	bin     string // directory of the built programs
	rows    int    // of the traffic log, where an area fills one
	data    string // directory of a filled log, to be asked again; "": one that is gone afterwards
	part    string // of an area that has some; "": all
	repeats int    // of each measurement in which rivals take turns
}

// area measures; it reports what it is doing on standard error.
type area func(context.Context, options) ([]bench.Result, error)

var areas = map[string]area{
	"analytics": analyticsArea,
	"dataplane": dataplaneArea,
	"ids":       idsArea,
	"main":      mainArea,
}

func main() {
	names := strings.Join(slices.Sorted(maps.Keys(areas)), ", ")
	name := flag.String("area", "main", "what to measure: "+names)
	out := flag.String("out", ".run/bench", "directory for the results")
	opts := options{}
	flag.StringVar(&opts.bin, "bin", "bin", "directory of the built programs")
	flag.IntVar(&opts.rows, "rows", 10_000_000, "rows of the traffic log, where an area fills one")
	flag.StringVar(&opts.data, "data", "", "directory to keep the filled traffic log in; one that is there is asked as it is")
	flag.StringVar(&opts.part, "part", "", "of area dataplane: classified, established, first, changed, dropped; of area ids: replay, inline, exploited, offloaded; of area analytics: day (of it fill, questions, backtest, live, rival), away")
	flag.IntVar(&opts.repeats, "repeats", repeats, "of each measurement in which rivals take turns")
	flag.Parse()
	measure, ok := areas[*name]
	if !ok || flag.NArg() > 0 || opts.repeats < 1 {
		fmt.Fprintf(os.Stderr, "bench: no area %q: %s\n", *name, names)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	results, err := measure(ctx, opts)
	stop()
	if err == nil {
		err = bench.Write(*out, *name, results)
	}
	if len(results) > 0 {
		bench.Table(os.Stdout, *name, results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if i := slices.IndexFunc(results, func(r bench.Result) bool { return !r.OK }); i >= 0 {
		fmt.Fprintf(os.Stderr, "bench: missed: %s\n", results[i].Name)
		os.Exit(1)
	}
}
