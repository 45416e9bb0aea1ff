package ids_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/traffic"
)

// openRules compiles the first n rules that people load.
func openRules(t testing.TB, n int) *detect.Set {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(suite(t), "et-open.rules"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfterN(string(text), "\n", n+1)
	loaded := rule.Load([]rule.File{{Name: "et-open.rules", Text: strings.Join(lines[:min(n, len(lines))], "")}}, rule.DefaultConfig())
	cfg := detect.DefaultConfig()
	cfg.Seed, cfg.Event = 1, packet.EventByName
	set, refused := detect.Compile(loaded.Rules, cfg)
	if len(refused)+len(loaded.Refused) > len(loaded.Rules)/100 {
		t.Fatalf("%d of %d rules are refused, such as %v", len(refused), len(loaded.Rules), refused[0])
	}
	return set
}

const rusageThread = 1 // RUSAGE_THREAD

// BenchmarkTraffic is the way of generated traffic through one core.
func BenchmarkTraffic(b *testing.B) {
	for _, n := range []int{0, 10000} {
		name := "10000 rules"
		if n == 0 {
			name = "no rules"
		}
		b.Run(name, func(b *testing.B) {
			set := openRules(b, n)
			x := mixed(b, 32<<20)
			engine := ids.New(ids.DefaultConfig(), ids.Deps{})
			engine.Use(set)
			w := engine.Worker()
			w.Decoder().Verify(false)
			round := int64(1)
			for _, f := range x.Frames { // what flows are kept in is there from then on
				w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
			}
			span := x.Frames[len(x.Frames)-1].At - x.Frames[0].At + 3600e9
			b.SetBytes(int64(x.Bytes))
			b.ReportAllocs()
			var before, after syscall.Rusage
			if err := syscall.Getrusage(rusageThread, &before); err != nil {
				b.Fatal(err)
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				for _, f := range x.Frames {
					w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At+round*span)
				}
				round++
			}
			if err := syscall.Getrusage(rusageThread, &after); err != nil {
				b.Fatal(err)
			}
			// The time this thread was running: others may be busy on the machine.
			seconds := time.Duration(after.Utime.Nano() - before.Utime.Nano() + after.Stime.Nano() - before.Stime.Nano()).Seconds()
			b.ReportMetric(float64(round-1)*float64(x.Bytes)*8/seconds/1e9, "Gbit/s")
			b.ReportMetric(float64(round-1)*float64(len(x.Frames))/seconds/1e6, "Mpps")
			b.ReportMetric(float64(w.Counters.Alerts)/float64(round), "alerts/round")
			b.ReportMetric(float64(len(x.Frames)), "packets")
		})
	}
}

// BenchmarkStart is the time to load and compile all rules, and what they hold.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		set := openRules(b, 1<<20)
		b.ReportMetric(time.Since(start).Seconds(), "s")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
		runtime.KeepAlive(set)
	}
}

func mixed(t testing.TB, n int) *traffic.Traffic {
	t.Helper()
	x, err := traffic.Mix(n)
	if err != nil {
		t.Fatal(err)
	}
	return x
}
