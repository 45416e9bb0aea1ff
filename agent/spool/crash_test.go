package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestMain runs the children of the tests below.
func TestMain(m *testing.M) {
	switch os.Getenv("SPOOL_TEST_CHILD") {
	case "write":
		childWrites(os.Getenv("SPOOL_TEST_DIR"))
	case "full":
		if err := childFillsDisk(os.Getenv("SPOOL_TEST_DIR")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	default:
		os.Exit(m.Run())
	}
}

func child(t *testing.T, mode, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "SPOOL_TEST_CHILD="+mode, "SPOOL_TEST_DIR="+dir)
	cmd.Stderr = t.Output()
	return cmd
}

// oneSegment writes n batches into a directory and returns the file and where
// each record ends.
func oneSegment(t *testing.T, n int) (path string, ends []int) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, testConfig(dir), Deps{})
	for i := range n {
		put(t, s, event(uint64(i+1), 1))
		ends = append(ends, int(s.active.end))
	}
	path = s.active.path
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, ends
}

// reopen puts data where a segment lies and reads what is left of it.
func reopen(t *testing.T, data []byte) (numbers []uint64, st Stats, flows int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, testConfig(dir), Deps{Logger: slog.New(slog.DiscardHandler)})
	defer func() { _ = s.Close() }()
	for _, b := range drain(t, s) {
		numbers = append(numbers, b.Number)
	}
	st, flows = s.Stats(), len(totals(s))
	put(t, s, event(99, 1)) // it goes on
	if got := len(drain(t, s)); got != len(numbers)+1 {
		t.Fatalf("after recovery %d batches, want %d", got, len(numbers)+1)
	}
	return numbers, st, flows
}

func TestTornTailAtEveryByte(t *testing.T) {
	path, ends := oneSegment(t, 4)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) + 1 {
		var want []uint64
		for i, end := range ends {
			if size >= end {
				want = append(want, uint64(i+1))
			}
		}
		got, st, flows := reopen(t, whole[:size])
		if d := cmp.Diff(want, got); d != "" || flows != len(want) {
			t.Fatalf("cut at %d: totals of %d flows, %s", size, flows, d)
		}
		if st.Damaged != 0 {
			t.Fatalf("cut at %d: a torn tail is no damage", size)
		}
	}
	// A file system that grew the file but had not written: zeros behind.
	got, _, _ := reopen(t, append(whole[:ends[1]:ends[1]], make([]byte, 5000)...))
	if d := cmp.Diff([]uint64{1, 2}, got); d != "" {
		t.Fatal(d)
	}
}

func TestDamageHidesOnlyItsOwnBatch(t *testing.T) {
	path, ends := oneSegment(t, 4)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := segmentHeader; at < len(whole); at++ {
		data := append([]byte(nil), whole...)
		data[at] ^= 0x5a
		var want []uint64
		for i, end := range ends {
			begin := segmentHeader
			if i > 0 {
				begin = ends[i-1]
			}
			if at < begin || at >= end {
				want = append(want, uint64(i+1))
			}
		}
		got, st, _ := reopen(t, data)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("byte %d damaged: %s", at, d)
		}
		if inner := at < ends[2]; inner && st.Damaged == 0 {
			t.Fatalf("byte %d damaged: not counted", at)
		}
	}
	for at := range segmentHeader { // a damaged file header costs no batch
		data := append([]byte(nil), whole...)
		data[at] ^= 0x5a
		if got, _, _ := reopen(t, data); len(got) != 4 {
			t.Fatalf("header byte %d damaged: batches %v", at, got)
		}
	}
}

func TestDamageAfterOpenIsSkippedByTheReader(t *testing.T) {
	s := open(t, testConfig(t.TempDir()), Deps{Logger: slog.New(slog.DiscardHandler)})
	var ends []int64
	for n := range uint64(4) {
		put(t, s, event(1, n+1))
		ends = append(ends, s.active.end)
	}
	f, err := os.OpenFile(s.active.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{ends[0] + 10, ends[2] + recordHeader + 5} { // header of 2, payload of 4
		if _, err := f.WriteAt([]byte{0xaa, 0xbb, 0xcc}, at); err != nil {
			t.Fatal(err)
		}
	}
	var got []uint64
	for _, b := range drain(t, s) {
		got = append(got, b.Number)
	}
	if d := cmp.Diff([]uint64{1, 3}, got); d != "" || s.Stats().Damaged != 2 {
		t.Fatalf("%d places damaged, %s", s.Stats().Damaged, d)
	}
}

// childWrites counts one flow up like an agent: it begins with the totals that
// it finds, and says so; then a line for each batch that is on disk. It
// acknowledges some of its own.
func childWrites(dir string) {
	cfg := DefaultConfig()
	cfg.Dir, cfg.SegmentBytes, cfg.MaxBytes = dir, 2<<10, 16<<20
	cfg.FlushInterval = time.Millisecond
	s, err := Open(cfg, Deps{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	told := totals(s)[1].PacketsSent
	for n := told + 1; ; n++ {
		if err := s.Append([]*ngfwv1.FlowEvent{event(1, n)}); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		if n%3 == 0 {
			if err := s.Flush(); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			fmt.Println("durable", n)
		}
	}
}

// Killed again and again at no particular place, the increments that are found
// add up to the total that was told: nothing durable is lost, nothing is told
// twice.
func TestKilledAtAnyMomentSumsStayTrue(t *testing.T) {
	dir := t.TempDir()
	stored := map[string]uint64{} // the cloud: last number per epoch
	var sum, durable uint64
	collect := func() {
		cfg := testConfig(dir)
		cfg.SegmentBytes, cfg.MaxBytes = 2<<10, 16<<20
		s := open(t, cfg, Deps{})
		defer func() { _ = s.Close() }()
		for epoch, n := range stored {
			s.Forget(epoch, n)
		}
		for _, b := range drain(t, s) {
			if b.Number <= stored[b.Epoch] {
				t.Fatalf("batch %s/%d comes again after Forget", b.Epoch, b.Number)
			}
			stored[b.Epoch] = b.Number
			for _, e := range b.Events {
				sum += e.PacketsSent
				if e.TotalPacketsSent != sum {
					t.Fatalf("batch %s/%d: increments add up to %d, the flow's total is %d", b.Epoch, b.Number, sum, e.TotalPacketsSent)
				}
			}
			s.Acknowledge(b.Epoch, b.Number)
		}
		if sum < durable {
			t.Fatalf("%d packets were durable, %d arrived", durable, sum)
		}
		if got := totals(s)[1].PacketsSent; got != sum {
			t.Fatalf("told %d, arrived %d", got, sum)
		}
	}
	for round := range 25 {
		cmd := child(t, "write", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		for i := 0; ; i++ {
			if i == 5+13*round { // then kill, and read what it still said
				_ = cmd.Process.Kill()
			}
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if word != "durable" {
				t.Fatalf("child: %s", line)
			}
			if durable, err = strconv.ParseUint(value, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Wait()
		if round%4 != 0 { // several runs may pass without the cloud
			collect()
		}
	}
	collect()
	if sum == 0 {
		t.Fatal("nothing was written")
	}
}

// childFillsDisk works on a real file system of 256 KiB of its own.
func childFillsDisk(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		return err
	}
	cfg := DefaultConfig()
	cfg.Dir, cfg.SegmentBytes, cfg.MaxBytes = dir, 32<<10, 64<<20
	cfg.MemoryBytes = 16 << 10
	cfg.FlushInterval, cfg.RetryInterval = time.Hour, time.Nanosecond
	s, err := Open(cfg, Deps{})
	if err != nil {
		return err
	}
	defer s.Close()
	// Somebody else's file leaves 64 KiB.
	hog := filepath.Join(dir, "hog")
	if err := os.WriteFile(hog, make([]byte, 192<<10), 0o600); err != nil {
		return err
	}
	written := uint64(0)
	write := func(n int) error {
		for range n {
			written++
			if err := s.Append([]*ngfwv1.FlowEvent{event(written, 1)}); err != nil {
				return fmt.Errorf("a full disk is no error of Append: %w", err)
			}
			_ = s.Flush()
		}
		return nil
	}
	for s.Stats().Error == "" {
		if err := write(1); err != nil {
			return err
		}
	}
	st := s.Stats()
	if !strings.Contains(st.Error, "no space left") || st.MemoryBatches == 0 || st.DroppedBatches != 0 {
		return fmt.Errorf("when the disk is full: %+v", st)
	}
	if st.Batches != written {
		return fmt.Errorf("%d of %d batches can be sent while memory bridges", st.Batches, written)
	}
	if err := write(2000); err != nil {
		return err
	}
	st = s.Stats()
	if st.DroppedBatches == 0 || st.DroppedRows != st.DroppedBatches || st.Batches+st.DroppedBatches != written {
		return fmt.Errorf("%d written, %+v", written, st)
	}
	if err := os.Remove(hog); err != nil {
		return err
	}
	dropped := st.DroppedBatches
	if err := write(10); err != nil {
		return err
	}
	if st = s.Stats(); st.Error != "" || st.MemoryBatches != 0 || st.DroppedBatches != dropped {
		return fmt.Errorf("after there is room again: %+v", st)
	}
	// The newest are there, in order, after a restart too.
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(cfg, Deps{}); err != nil {
		return err
	}
	defer s.Close()
	r := s.Reader()
	defer r.Close()
	last, count := uint64(0), uint64(0)
	for {
		rec, wake, err := r.take()
		if err != nil {
			return err
		}
		if wake != nil {
			break
		}
		r.handed[rec.epoch] = rec.number
		if rec.number <= last {
			return fmt.Errorf("batch %d after %d", rec.number, last)
		}
		last = rec.number
		count++
	}
	if last != written || count+dropped != written {
		return fmt.Errorf("found %d batches up to %d, %d written, %d dropped", count, last, written, dropped)
	}
	return nil
}

func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	cmd := child(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if out, err := cmd.Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func FuzzSegment(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	r, err := c.encode(&ngfwv1.FlowBatch{Epoch: "01JB3ZQ5W5W5W5W5W5W5W5W5W5", Number: 1, Events: []*ngfwv1.FlowEvent{event(1, 1)}}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(versionHeader(segmentMagic, segmentVersion), r.data...))
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		for off := 0; ; {
			r, at, _, ok := nextRecord(data, off)
			if !ok {
				return
			}
			if at < off || len(r.data) < recordHeader {
				t.Fatalf("record of %d bytes at %d, from %d", len(r.data), at, off)
			}
			_, _ = c.decode(r)
			off = at + len(r.data)
		}
	})
}
