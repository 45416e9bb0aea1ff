package feed

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ngfw.sh/dataplane/droplist"
)

type bench struct {
	t     *testing.T
	dir   string
	feed  *Feed
	table *droplist.Table
	loads int
	fail  error
	clock time.Time
}

func newBench(t *testing.T, names ...string) *bench {
	b := &bench{t: t, dir: t.TempDir(), clock: time.Unix(1000, 0)}
	cfg := DefaultConfig(filepath.Join(b.dir, "copies"))
	for _, name := range names {
		cfg.Sources = append(cfg.Sources, Source{Name: name, File: filepath.Join(b.dir, name)})
	}
	b.feed = New(cfg, Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Load: func(table *droplist.Table) error {
		b.loads++
		if b.fail == nil {
			b.table = table
		}
		return b.fail
	}})
	return b
}

// write replaces a file, a second later than the one before.
func (b *bench) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.clock = b.clock.Add(time.Second)
	if err := os.Chtimes(path, b.clock, b.clock); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) has(address, list string) {
	b.t.Helper()
	got := ""
	if label := b.table.Lookup(netip.MustParseAddr(address), droplist.Source4); label > 0 {
		got = b.table.Names[label-1]
	}
	if got != list {
		b.t.Errorf("%s is on %q, want %q", address, got, list)
	}
}

func (b *bench) degraded(part string) {
	b.t.Helper()
	all := strings.Join(b.feed.Degraded(), "\n")
	if part == "" && all != "" || !strings.Contains(all, part) {
		b.t.Errorf("degraded %q, want %q", all, part)
	}
}

func TestFilesBecomeTheTable(t *testing.T) {
	b := newBench(t, "a", "b")
	b.write("a", "192.0.2.0/24\n")
	b.write("b", "192.0.2.1\n198.51.100.1\n")
	b.feed.Look()
	b.has("192.0.2.1", "a")
	b.has("198.51.100.1", "b")
	b.degraded("")
	b.feed.Look()
	if b.loads != 1 {
		t.Errorf("%d loads, and nothing has changed", b.loads)
	}
	b.write("a", "203.0.113.0/24\n")
	b.feed.Look()
	b.has("192.0.2.1", "b")
	b.has("203.0.113.9", "a")
	states, table := b.feed.States()
	if states[0].Prefixes != 1 || states[1].Prefixes != 2 || states[0].Since.IsZero() || table.Bytes == 0 {
		t.Errorf("%+v, %+v", states, table)
	}
}

// What cannot be read leaves what was; what never could holds nothing up.
func TestBadFiles(t *testing.T) {
	b := newBench(t, "a", "missing")
	b.write("a", "192.0.2.0/24\n")
	b.feed.Look()
	b.has("192.0.2.1", "a")
	b.degraded("drop_list:missing")
	b.write("a", "203.0.113.0/24\nnonsense\n")
	b.feed.Look()
	b.has("192.0.2.1", "a")
	b.degraded(`line 2: "nonsense"`)
	if err := os.Remove(filepath.Join(b.dir, "a")); err != nil {
		t.Fatal(err)
	}
	b.feed.Look()
	b.has("192.0.2.1", "a")
	b.degraded("no such file")
	b.write("a", "203.0.113.0/24\n")
	b.write("missing", "192.0.2.9\n")
	b.feed.Look()
	b.has("192.0.2.1", "")
	b.has("192.0.2.9", "missing")
	b.degraded("")
}

// A table that was refused is tried again, though no file has changed.
func TestRefusedTable(t *testing.T) {
	b := newBench(t, "a")
	b.write("a", "192.0.2.0/24\n")
	b.fail = errors.New("no memory")
	b.feed.Look()
	b.degraded("no memory")
	b.fail = nil
	b.feed.Look()
	b.has("192.0.2.1", "a")
	b.degraded("")
}
