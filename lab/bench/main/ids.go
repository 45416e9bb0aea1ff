package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/traffic"
	"ngfw.sh/lab/bench"
)

// The peer cannot be installed everywhere: its figures were measured once, on another run.
const (
	suricata        = "Suricata 7.0.0 with Hyperscan"
	suricataNote    = "not same run"
	suricataGbits   = 1.1
	suricataStart   = 18.0 // s, with 26,106 rules
	suricataMemory  = 435.0
	idsRounds       = 5
	idsTrafficBytes = 64 << 20
)

// idsArea is what the matcher costs with rules that people load, on traffic of our own
// making: HTTP, TLS and DNS, most of its bytes within the depth that is inspected.
func idsArea(ctx context.Context, _ options) ([]bench.Result, error) {
	dir := os.Getenv("NGFW_IDS_SUITE")
	if dir == "" {
		dir = "../shared/ids-suite"
	}
	text, err := os.ReadFile(filepath.Join(dir, "et-open.rules"))
	if err != nil {
		return nil, fmt.Errorf("the rules to measure with (NGFW_IDS_SUITE names their folder): %w", err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	var results []bench.Result

	x, err := traffic.Mix(idsTrafficBytes)
	if err != nil {
		return nil, err
	}
	started, err := idsStart(lines)
	if err != nil {
		return nil, err
	}
	results = append(results, started)

	before := heap()
	set, err := idsSet(lines[:min(10000, len(lines))])
	if err != nil {
		return results, err
	}
	engine := ids.New(ids.DefaultConfig(), ids.Deps{})
	engine.Use(set)
	w := engine.Worker()
	w.Decoder().Verify(false)
	// The thread's own time counts: others may be busy on the machine.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var speeds, allocations []float64
	span := x.Frames[len(x.Frames)-1].At - x.Frames[0].At + 3600e9
	for round := range int64(idsRounds) {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		fmt.Fprintf(os.Stderr, "replaying with %d rules, %d of %d\n", set.Len(), round+1, idsRounds)
		var m0, m1 runtime.MemStats
		runtime.ReadMemStats(&m0)
		t0, err := threadTime()
		if err != nil {
			return results, err
		}
		for _, f := range x.Frames {
			w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At+round*span)
		}
		t1, err := threadTime()
		if err != nil {
			return results, err
		}
		runtime.ReadMemStats(&m1)
		speeds = append(speeds, float64(x.Bytes)*8/(t1-t0).Seconds()/1e9)
		allocations = append(allocations, float64(m1.Mallocs-m0.Mallocs)/float64(len(x.Frames)))
	}
	held := heap() - before
	runtime.KeepAlive(w)
	runtime.KeepAlive(x)
	runtime.KeepAlive(text)
	runtime.KeepAlive(lines)
	note := fmt.Sprintf("%s; one core's own time, median of %d, %d packets of generated HTTP, TLS and DNS", suricataNote, idsRounds, len(x.Frames))
	return append(results,
		bench.Figure("replay with 10,000 rules", median(speeds), "Gbit/s", bench.Higher).Against(suricata, suricataGbits).Noting(note).AtLeast(1.2/suricataGbits),
		bench.Figure("memory with 10,000 rules", held, "MB", bench.Lower).Against(suricata, suricataMemory).Noting(suricataNote+"; ours: the heap").AtLeast(suricataMemory/300),
		bench.Figure("allocations per packet", median(allocations[1:]), "", bench.Lower).AtLeast(0.01).
			Noting(fmt.Sprintf("connections and messages that begin and end among them, without a log; %.2f in the first round, which takes the memory", allocations[0]))), nil
}

// idsStart is the time until all rules are in force.
func idsStart(lines []string) (bench.Result, error) {
	start := time.Now()
	set, err := idsSet(lines)
	if err != nil {
		return bench.Result{}, err
	}
	return bench.Figure(fmt.Sprintf("start with %d rules", set.Len()), time.Since(start).Seconds(), "s", bench.Lower).
		Against(suricata, suricataStart).Noting(suricataNote + "; the peer with 26,106; ours is to be at most 3 s").AtLeast(suricataStart / 3), nil
}

func idsSet(lines []string) (*detect.Set, error) {
	loaded := rule.Load([]rule.File{{Name: "et-open.rules", Text: strings.Join(lines, "")}}, rule.DefaultConfig())
	cfg := detect.DefaultConfig()
	cfg.Event = packet.EventByName
	set, refused := detect.Compile(loaded.Rules, cfg)
	if n := len(refused) + len(loaded.Refused); n*100 > len(loaded.Rules) {
		return nil, fmt.Errorf("%d of %d rules are refused", n, len(loaded.Rules))
	}
	return set, nil
}

// heap is what is held, in MB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func threadTime() (time.Duration, error) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
