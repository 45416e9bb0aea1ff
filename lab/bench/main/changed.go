package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane"
	"ngfw.sh/lab/bench"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// changed is how long a change of a large policy takes until it is enforced,
// and what the largest policy takes to compile.
func changed(ctx context.Context, opts options) (results []bench.Result, err error) {
	pins, err := os.MkdirTemp("", "ngfw-bench-")
	if err != nil {
		return nil, err
	}
	if err := unix.Mount("bpf", pins, "bpf", 0, "mode=700"); err != nil {
		return nil, errors.Join(fmt.Errorf("mount a BPF file system: %w: run as root", err), os.Remove(pins))
	}
	defer func() { err = errors.Join(err, unix.Unmount(pins, unix.MNT_DETACH), os.Remove(pins)) }()
	cfg := dataplane.Config{Pins: filepath.Join(pins, "ngfw"), XDP: dataplane.XDPOff, MaxFlows: 1024}
	d, err := dataplane.Open(cfg, dataplane.Deps{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	revision := int64(0)
	for _, family := range policytest.Families {
		saying("a change, %s, %d rules", family, rules)
		p := policytest.RuleSet(1, family, false, rules)
		var compiler policy.Compiler // as the agent has one
		var whole, compiled []float64
		for i := range 2 + 4*opts.repeats {
			if err := ctx.Err(); err != nil {
				return results, err
			}
			revision++
			p.Revision = revision
			r := &p.Rules[i*7919%len(p.Rules)]
			if r.Action = policy.Drop; i%2 == 0 {
				r.Action = policy.Accept
			}
			start := time.Now()
			im, err := compiler.Compile(p, policy.Env{})
			if err != nil {
				return results, fmt.Errorf("%s: %w", family, err)
			}
			between := time.Since(start)
			if err := d.Apply(im); err != nil {
				return results, fmt.Errorf("%s: %w", family, err)
			}
			if i < 2 { // every rule is new, and has no counter yet; the tables of the other slot are not there
				continue
			}
			whole, compiled = append(whole, time.Since(start).Seconds()*1e3), append(compiled, between.Seconds()*1e3)
		}
		results = append(results, bench.Figure(fmt.Sprintf("one rule of %d changed, %s, until it is enforced", rules, family), median(whole), "ms", bench.Lower).AtLeast(100).
			Noting(fmt.Sprintf("compiling takes %.0f ms, writing the tables and swapping the rest; median of %d", median(compiled), len(whole))))
	}
	for _, family := range policytest.Families {
		saying("compiling, %s, %d rules", family, 10*rules)
		p := policytest.RuleSet(1, family, false, 10*rules)
		var took []float64
		for range opts.repeats {
			start := time.Now()
			if _, err := policy.Compile(p, policy.Env{}); err != nil {
				return results, fmt.Errorf("%s: %w", family, err)
			}
			took = append(took, time.Since(start).Seconds())
		}
		results = append(results, bench.Figure(fmt.Sprintf("compiling %d rules, %s", 10*rules, family), median(took), "s", bench.Lower).AtLeast(2).
			Noting(fmt.Sprintf("median of %d", len(took))))
	}
	return results, nil
}
