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
	if err != nil || opts.part != "" {
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

	parts := []struct {
		name    string
		measure func() ([]bench.Result, error)
	}{
		{"questions", func() ([]bench.Result, error) { return c.questions(ctx, say) }},
		{"backtest", func() ([]bench.Result, error) {
			say("trying a rule on all of it")
			tried, err := c.backtest(ctx, until)
			return []bench.Result{tried}, err
		}},
		{"live", func() ([]bench.Result, error) {
			say("reading live")
			return c.live(ctx)
		}},
		{"rival", func() ([]bench.Result, error) { return c.rival(ctx, until, say) }},
	}
	known := opts.part == "fill"
	for _, p := range parts {
		if opts.part != "" && opts.part != "day" && opts.part != p.name {
			continue
		}
		known = true
		measured, err := p.measure()
		if err != nil {
			return results, fmt.Errorf("%s: %w", p.name, err)
		}
		results = append(results, measured...)
	}
	if !known {
		return results, fmt.Errorf("area analytics has no part %q", opts.part)
	}
	return results, nil
}

// questions are those of the log, of rankings and of statistics.
func (c *cloud) questions(ctx context.Context, say func(string, ...any)) ([]bench.Result, error) {
	say("asking")
	last, err := c.ask(ctx, "/api/traffic/logs?limit=50", []string{
		"", "&action=drop", "&proto=udp", "&src=192.168.1.8/29", "&src=192.168.1.7", "&dst=203.0.113.0/24", "&dst=" + target(3).String(),
		"&port=53", "&app=dns", "&geo=NL", "&threat=scan", "&rule_id=7", "&event=refused", "&q=host-17", "&action=drop&src=192.168.1.0/26", "&dst=198.51.100.9",
	})
	if err != nil {
		return nil, err
	}
	tops, destinations, stats, err := c.sums(ctx)
	if err != nil {
		return nil, err
	}
	return []bench.Result{
		last.figure("last 50, the slowest filter, p95").AtLeast(60),
		tops.figure("top 10 of 24 h, the slowest ranking, p95").AtLeast(30),
		destinations.figure("top 10 destinations of 24 h, p95").AtLeast(120),
		stats.figure("statistics, 24 h by 5 minutes, p95").AtLeast(60),
	}, nil
}

// sums asks for rankings and statistics.
func (c *cloud) sums(ctx context.Context) (tops, destinations, stats answers, err error) {
	if tops, err = c.ask(ctx, "/api/traffic/top/", []string{"clients", "applications", "countries", "rules"}); err != nil {
		return nil, nil, nil, err
	}
	if destinations, err = c.ask(ctx, "/api/traffic/top/destinations", []string{""}); err != nil {
		return nil, nil, nil, err
	}
	stats, err = c.ask(ctx, "/api/traffic/stats?period=24h&step=5m", []string{""})
	return tops, destinations, stats, err
}

// rival asks DuckDB and us the same.
func (c *cloud) rival(ctx context.Context, until time.Time, say func(string, ...any)) ([]bench.Result, error) {
	tops, destinations, stats, err := c.sums(ctx)
	if err != nil {
		return nil, err
	}
	say("asking DuckDB the same")
	rival, err := c.duckdb(ctx, until)
	if err != nil {
		say("no DuckDB: %v", err)
		return nil, nil
	}
	clients := slices.IndexFunc(tops, func(a asked) bool { return a.name == "clients" })
	return []bench.Result{
		bench.Figure("statistics, median", stats[0].quantile(0.5), "ms", bench.Lower).Against("DuckDB "+rival.Version, rival.Stats).AtLeast(10).
			Noting("DuckDB on the raw rows in its own file, in process; ours over REST"),
		bench.Figure("top 10 clients, median", tops[clients].quantile(0.5), "ms", bench.Lower).Against("DuckDB "+rival.Version, rival.Clients),
		bench.Figure("top 10 destinations, median", destinations[0].quantile(0.5), "ms", bench.Lower).Against("DuckDB "+rival.Version, rival.Destinations),
	}, nil
}

// fill loads the rows and measures how.
func fill(ctx context.Context, c *cloud, rows int, until time.Time, say func(string, ...any)) ([]bench.Result, error) {
	say("storing %d rows", rows)
	before, err := c.effort()
	if err != nil {
		return nil, err
	}
	took, err := c.load(ctx, rows, until)
	if err != nil {
		return nil, err
	}
	loaded, err := c.effort()
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
	settled, err := c.effort()
	if err != nil {
		return results, err
	}
	each := func(d time.Duration) float64 { return d.Seconds() / float64(rows) * 1e6 }
	during, after := loaded.minus(before), settled.minus(loaded)
	results = append(results, bench.Figure("ingest, processor time of a million rows", each(during.sum()), "s", bench.Lower).
		Noting(fmt.Sprintf("generator %.1f, cloud %.1f, engine %.1f; and %.1f of merges afterwards", each(during.generator), each(during.cloud), each(during.engine), each(after.engine))))
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
