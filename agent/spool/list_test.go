package spool

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A spool against a list: any mix of writes, acknowledgements, restarts and
// disk failures within the bounds of memory loses and repeats nothing.
func TestAgainstAList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "spool")
		if err != nil {
			rt.Fatal(err)
		}
		cfg := testConfig(dir)
		cfg.SegmentBytes, cfg.MaxBytes = 1<<10, 1<<20
		disk := &flakyDisk{}
		s := open(t, cfg, Deps{Create: disk.create, Logger: slog.New(slog.DiscardHandler)})
		defer func() { _ = s.Close() }()
		var want []string
		told := map[uint64]Totals{}
		counts := map[uint64]uint64{}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				flow := rapid.Uint64Range(1, 5).Draw(rt, "flow")
				counts[flow]++
				if err := s.Append([]*ngfwv1.FlowEvent{event(flow, counts[flow])}); err != nil {
					rt.Fatal(err)
				}
				_ = s.Flush()
				told[flow] = Totals{PacketsSent: counts[flow], BytesSent: 10 * counts[flow]}
				want = append(want, fmt.Sprintf("%s/%d", s.epoch, s.number))
			},
			"fail": func(rt *rapid.T) { disk.fail(rapid.IntRange(0, 200).Draw(rt, "bytes until full")) },
			"heal": func(rt *rapid.T) { disk.heal() },
			"acknowledge": func(rt *rapid.T) {
				if len(want) == 0 {
					rt.Skip()
				}
				n := rapid.IntRange(0, len(want)-1).Draw(rt, "batches")
				for _, name := range want[:n+1] { // as the cloud does: in order
					epoch, number, _ := strings.Cut(name, "/")
					var v uint64
					_, _ = fmt.Sscan(number, &v)
					s.Acknowledge(epoch, v)
				}
				want = want[n+1:]
			},
			"restart": func(rt *rapid.T) {
				disk.heal()
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				unacked := map[string]bool{}
				for _, n := range want {
					unacked[n] = true
				}
				s = open(t, cfg, Deps{Create: disk.create, Logger: slog.New(slog.DiscardHandler)})
				for _, n := range names(drain(t, s)) { // acknowledged ones of the last file are offered again: the cloud says so
					if !unacked[n] {
						epoch, number, _ := strings.Cut(n, "/")
						var v uint64
						_, _ = fmt.Sscan(number, &v)
						s.Forget(epoch, v)
					}
				}
			},
			"": func(rt *rapid.T) {
				if d := cmp.Diff(want, names(drain(t, s)), cmpopts.EquateEmpty()); d != "" {
					rt.Fatal(d)
				}
				if st := s.Stats(); st.DroppedBatches != 0 || st.Batches != uint64(len(want)) {
					rt.Fatalf("stats %+v, %d wait", st, len(want))
				}
				if s.Stats().MemoryBatches == 0 {
					if d := cmp.Diff(told, totals(s)); d != "" {
						rt.Fatal(d)
					}
				}
			},
		})
	})
}

// flakyDisk makes files that refuse after a number of bytes.
type flakyDisk struct {
	mu   sync.Mutex
	full bool
	left int
}

func (d *flakyDisk) fail(left int) { d.mu.Lock(); d.full, d.left = true, left; d.mu.Unlock() }
func (d *flakyDisk) heal()         { d.mu.Lock(); d.full = false; d.mu.Unlock() }

func (d *flakyDisk) create(path string) (File, error) {
	f, err := os.Create(path)
	return &flakyFile{File: f, disk: d}, err
}

type flakyFile struct {
	*os.File
	disk *flakyDisk
}

func (f *flakyFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.disk.full || len(p) <= f.disk.left {
		f.disk.left -= len(p)
		return f.File.WriteAt(p, off)
	}
	n, _ := f.File.WriteAt(p[:f.disk.left], off)
	f.disk.left = 0
	return n, syscall.ENOSPC
}

func (f *flakyFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.disk.full && f.disk.left%2 == 1 { // some disks refuse even that
		return syscall.EIO
	}
	return f.File.Truncate(size)
}
