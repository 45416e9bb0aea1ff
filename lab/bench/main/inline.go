package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ngfw.sh/dataplane/ids/traffic"
	"ngfw.sh/lab/bench"
	"ngfw.sh/lab/bench/inline"
	"ngfw.sh/lab/bench/liveframe"
)

const (
	// The peer's range is 1.1 to 1.4; its best counts.
	suricataInline = 1.4
	inlineFloor    = 1.5
	inlineBytes    = 1 << 30
	inlineRounds   = 5
)

// inlined is a bulk transfer through one queue, every byte of it matched.
func inlined(ctx context.Context, opts options, lines []string) ([]bench.Result, error) {
	rules, remove, err := ruleFile(lines, "")
	if err != nil {
		return nil, err
	}
	defer remove()
	cfg := inline.Config{Agent: filepath.Join(opts.bin, "ngfw-agent"), Bytes: inlineBytes, Rounds: inlineRounds, Body: traffic.Text(8 << 20)}
	saying("a transfer without inspection")
	plain, err := inline.Measure(ctx, cfg)
	if err != nil {
		return nil, err
	}
	cfg.Rules = rules
	var results []bench.Result
	without := int64(0)
	for _, form := range []struct {
		name, what string
		page       int64
	}{{"inline, each byte matched", "one HTTP answer", 0}, {"inline, each byte matched, small pages", "HTTP answers of 64 kB, each byte of them in the buffers of HTTP too", 64 << 10}} {
		saying("a transfer through the matcher, %s", form.what)
		cfg.Page = form.page
		m, err := inline.Measure(ctx, cfg)
		if err != nil {
			return results, err
		}
		without += int64(m.QueueDropped+m.SocketDropped) + m.FailedOpen
		note := fmt.Sprintf("%s in one TCP stream over veth with GSO, %d rules, one queue, bypass off, fastest of %d; %d bytes inspected as sent, in %d packets; by the kernel: "+
			"%d dropped of a full queue, %d of a full socket, %d failed open; %.2f s of the agent's processor time a Gbit; %.1f Gbit/s without inspection",
			form.what, m.Rules, inlineRounds, m.Inspected, m.Packets, m.QueueDropped, m.SocketDropped, m.FailedOpen, m.CPU, plain.Gbits)
		figure := bench.Figure(form.name, m.Gbits, "Gbit/s", bench.Higher).Noting(note)
		if form.page == 0 { // as the peer was measured
			figure = figure.Against(suricata, suricataInline).AtLeast(inlineFloor / suricataInline).Noting(suricataNote + "; " + note)
		}
		results = append(results, figure)
	}
	return append(results, bench.Figure("packets without a verdict", float64(without), "", bench.Lower).AtLeast(0).
		Noting("of the same runs: dropped of a full queue or socket, failed open")), nil
}

// exploited is a minute of bulk through one queue, with exploits beside it.
func exploited(ctx context.Context, opts options, lines []string) ([]bench.Result, error) {
	rules, remove, err := ruleFile(lines, inline.ExploitRules)
	if err != nil {
		return nil, err
	}
	defer remove()
	saying("a minute of bulk and exploits through one queue")
	cfg := inline.Config{Agent: filepath.Join(opts.bin, "ngfw-agent"), Rules: rules, Bytes: inlineBytes / 4, Body: traffic.Text(8 << 20)}
	x, err := inline.MeasureExploited(ctx, cfg, time.Minute)
	if err != nil {
		return nil, err
	}
	if x.Blocked+x.Passed == 0 {
		return nil, fmt.Errorf("no exploit was sent: of %d no connection was made in time", x.Unmade)
	}
	note := fmt.Sprintf("Log4Shell and Shellshock in turns, %d blocked and %d passed in mode prevent (%d without a connection in time) during %.0f s of bulk through the same queue at %.1f Gbit/s, %d bytes inspected",
		x.Blocked, x.Passed, x.Unmade, x.Lasted.Seconds(), x.Gbits, x.Inspected)
	return []bench.Result{
		bench.Figure("exploits blocked under bulk", 100*float64(x.Blocked)/float64(x.Blocked+x.Passed), "%", bench.Higher).AtLeast(100).Noting(note),
		bench.Figure("packets without a verdict meanwhile", float64(x.QueueDropped+x.SocketDropped)+float64(x.FailedOpen), "", bench.Lower).AtLeast(0).
			Noting(fmt.Sprintf("by the kernel: %d dropped of a full queue, %d of a full socket, %d failed open, of %d", x.QueueDropped, x.SocketDropped, x.FailedOpen, x.Packets)),
	}, nil
}

// ruleFile is a file of the rules to measure with, and of some more.
func ruleFile(lines []string, more string) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "ngfw-bench-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "measured.rules")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:min(idsRules, len(lines))], "")+"\n"+more), 0o600); err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return path, func() { os.RemoveAll(dir) }, nil
}

// offloaded is what a packet costs of a flow that has left the queue for good, against the same flow
// before it was ever queued.
func offloaded(ctx context.Context, opts options, _ []string) ([]bench.Result, error) {
	const turns, rounds = 5, 50
	section := map[string]any{"enabled": true, "mode": "prevent", "fail_open": false, "rules": []any{map[string]any{
		"id": 1, "name": "pass", "enabled": true, "category": "suspicious", "rule": `pass ip any any -> any any (msg:"leaves with its first packet"; sid:1;)`,
	}}}
	var results []bench.Result
	kind := liveframe.Traffic{}
	for _, path := range []struct{ setting, form string }{{"xdp", "fast path in XDP"}, {"auto", "fast path in TC"}, {"off", "no fast path"}} {
		saying("a flow that leaves the matcher, %s", path.form)
		never, left, err := liveframe.Offloaded(ctx, filepath.Join(opts.bin, "ngfw-agent"), path.setting, section, kind, turns, rounds)
		if err != nil {
			return results, err
		}
		results = append(results, bench.Figure("packet of a flow that has left the matcher, "+path.form, left, "ns", bench.Lower).
			Against("the flow never queued", never).AtLeast(1/1.05).
			Noting(fmt.Sprintf("%d-byte %v frames; each frame verified; in turns, in one lab, least of %d times %d rounds: other work only adds", kind.Bytes(), kind, turns, rounds)))
	}
	return results, nil
}
