package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"ngfw.sh/lab/bench"
)

const (
	analyticsDay     = 24 * time.Hour
	analyticsRouters = 4
	analyticsBatch   = 1000 // rows
	analyticsAsked   = 60   // times each question
)

// analyticsArea is a day of rows, and ten minutes without the cloud.
func analyticsArea(ctx context.Context, opts options) ([]bench.Result, error) {
	if opts.part == "away" {
		return away(ctx, opts)
	}
	results, err := wholeDay(ctx, opts)
	if err != nil || opts.part == "day" {
		return results, err
	}
	more, err := away(ctx, opts)
	return append(results, more...), err
}

// wholeDay loads a day's rows through the routers' protocol and asks the
// REST API about them, as a client would.
func wholeDay(ctx context.Context, opts options) ([]bench.Result, error) {
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	say("starting the cloud")
	c, err := startCloud(ctx, opts.bin, opts.data)
	if err != nil {
		return nil, err
	}
	defer c.stop()

	var results []bench.Result
	until := time.Now().Truncate(time.Second)
	if c.filled {
		say("asking the rows that are there")
	} else if results, err = fill(ctx, c, opts.rows, until, say); err != nil {
		return results, err
	}

	say("asking")
	last, err := c.ask(ctx, "/api/traffic/logs?limit=50", []string{
		"", "&action=drop", "&proto=udp", "&src=192.168.1.8/29", "&src=192.168.1.7", "&dst=203.0.113.0/24", "&dst=" + target(3).String(),
		"&port=53", "&app=dns", "&geo=NL", "&threat=scan", "&rule_id=7", "&event=refused", "&q=host-17", "&action=drop&src=192.168.1.0/26", "&dst=198.51.100.9",
	})
	if err != nil {
		return results, err
	}
	tops, err := c.ask(ctx, "/api/traffic/top/", []string{"clients", "applications", "countries", "rules"})
	if err != nil {
		return results, err
	}
	destinations, err := c.ask(ctx, "/api/traffic/top/destinations", []string{""})
	if err != nil {
		return results, err
	}
	stats, err := c.ask(ctx, "/api/traffic/stats?period=24h&step=5m", []string{""})
	if err != nil {
		return results, err
	}
	results = append(results,
		last.figure("last 50, the slowest filter, p95").AtLeast(60),
		tops.figure("top 10 of 24 h, the slowest ranking, p95").AtLeast(30),
		destinations.figure("top 10 destinations of 24 h, p95").AtLeast(120),
		stats.figure("statistics, 24 h by 5 minutes, p95").AtLeast(60),
	)

	say("trying a rule on all of it")
	tried, err := c.backtest(ctx, until)
	if err != nil {
		return results, err
	}
	results = append(results, tried)

	say("reading live")
	live, err := c.live(ctx)
	if err != nil {
		return results, err
	}
	results = append(results, live...)

	say("asking DuckDB the same")
	rival, err := c.duckdb(ctx, until)
	if err != nil {
		say("no DuckDB: %v", err)
		return results, nil
	}
	clients := slices.IndexFunc(tops, func(a asked) bool { return a.name == "clients" })
	return append(results,
		bench.Figure("statistics, median", stats[0].quantile(0.5), "ms", bench.Lower).Against("DuckDB "+rival.Version, rival.Stats).AtLeast(10).
			Noting("DuckDB on the raw rows in its own file, in process; ours over REST"),
		bench.Figure("top 10 clients, median", tops[clients].quantile(0.5), "ms", bench.Lower).Against("DuckDB "+rival.Version, rival.Clients),
		bench.Figure("top 10 destinations, median", destinations[0].quantile(0.5), "ms", bench.Lower).Against("DuckDB "+rival.Version, rival.Destinations),
	), nil
}

// fill loads the rows and measures how.
func fill(ctx context.Context, c *cloud, rows int, until time.Time, say func(string, ...any)) ([]bench.Result, error) {
	say("storing %d rows", rows)
	took, err := c.load(ctx, rows, until)
	if err != nil {
		return nil, err
	}
	_, peak, err := c.resident("ngfw-cloud", "serve")
	if err != nil {
		return nil, err
	}
	results := []bench.Result{
		bench.Figure("ingest, gRPC in → stored", float64(rows)/took.Seconds(), "rows/s", bench.Higher).AtLeast(50_000).
			Noting(fmt.Sprintf("%d rows of 24 h by %d routers in batches of %d; the generator on the same cores", rows, analyticsRouters, analyticsBatch)),
		bench.Figure("cloud without the engine, at most", peak, "MB", bench.Lower).AtLeast(300).Noting("during ingest"),
	}
	say("waiting for merges to end")
	bytes, err := c.settle(ctx, rows)
	if err != nil {
		return results, err
	}
	return append(results, bench.Figure("storage, roll-ups included", bytes/float64(rows), "bytes/row", bench.Lower).AtLeast(45)), nil
}

// asked are the times that one question took, in milliseconds.
type asked struct {
	name string
	ms   []float64
}

func (a asked) quantile(q float64) float64 { return quantile(a.ms, q) }

type answers []asked

// figure is the p95 of the slowest question.
func (as answers) figure(name string) bench.Result {
	worst := slices.MaxFunc(as, func(a, b asked) int { return int(1000 * (a.quantile(.95) - b.quantile(.95))) })
	note := fmt.Sprintf("median %.0f ms over REST", worst.quantile(.5))
	if len(as) > 1 {
		note = fmt.Sprintf("of %d: %s; %s", len(as), worst.name, note)
	}
	return bench.Figure(name, worst.quantile(.95), "ms", bench.Lower).Noting(note)
}

// ask asks each question some times, in turns.
func (c *cloud) ask(ctx context.Context, path string, questions []string) (answers, error) {
	out := make(answers, len(questions))
	for round := range analyticsAsked + 3 {
		for i, q := range questions {
			out[i].name = q
			if q == "" {
				out[i].name = "no filter"
			}
			begun := time.Now()
			var answer any
			if err := c.call(ctx, "GET", path+q, nil, &answer); err != nil {
				return nil, err
			}
			if round >= 3 { // warm
				out[i].ms = append(out[i].ms, float64(time.Since(begun).Microseconds())/1000)
			}
		}
	}
	return out, nil
}
