// Package feed owns the drop lists' files: it reads them, has their table made
// and loaded, and does so again when a file changes.
//
// All lists are one table, replaced as a whole. A file is taken whole or not at
// all: while one cannot be read, what it last held stays in force, and status
// says so. Whoever writes a file should rename a finished one into place.
package feed

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"ngfw.sh/dataplane/droplist"
)

// Source is a list and the file that holds it.
type Source struct {
	Name  string
	File  string
	Match droplist.Match
}

// Config of a Feed.
type Config struct {
	Sources  []Source
	Interval time.Duration // between two looks at the files
}

// DefaultConfig looks every two seconds.
func DefaultConfig() Config { return Config{Interval: 2 * time.Second} }

// Deps of a Feed.
type Deps struct {
	Log *slog.Logger
	// Load makes a table the one in force; it may keep it.
	Load func(*droplist.Table) error
}

// State of a list.
type State struct {
	Name     string
	Prefixes int
	Since    time.Time // when what is in force was read; zero: nothing is
	Error    string    // why the file as it is now is not in force
}

// Feed keeps the table as the files are.
type Feed struct {
	cfg  Config
	deps Deps

	mu    sync.Mutex // guards what follows
	files []file
	bytes int
	took  time.Duration
	stale bool // the table in force is not that of files
}

type file struct {
	State
	unread   string // why the file could not be read
	seen     stamp
	prefixes []netip.Prefix
}

// stamp tells one content of a file from the next.
type stamp struct {
	changed time.Time
	size    int64
	missing bool
}

// New makes a feed that has read nothing yet.
func New(cfg Config, deps Deps) *Feed {
	f := &Feed{cfg: cfg, deps: deps, files: make([]file, len(cfg.Sources)), stale: true}
	for i, s := range cfg.Sources {
		f.files[i].Name = s.Name
		f.files[i].seen = stamp{size: -1} // like no file
	}
	return f
}

// Run follows the files until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	tick := time.NewTicker(f.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.Look()
		}
	}
}

// Look reads the files that have changed and loads the table anew. Failures are
// logged once and stand in State.
func (f *Feed) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := time.Now()
	for i := range f.files {
		f.stale = f.read(i) || f.stale
	}
	if !f.stale {
		return
	}
	lists := make([]droplist.List, len(f.files))
	for i, s := range f.cfg.Sources {
		lists[i] = droplist.List{Name: s.Name, Match: s.Match, Prefixes: f.files[i].prefixes}
	}
	table, err := droplist.Compile(lists)
	bytes, prefixes := 0, 0
	if err == nil {
		bytes, prefixes = table.Bytes(), table.Stats.Prefixes
		err = f.deps.Load(table)
	}
	if err != nil {
		for i := range f.files {
			f.fail(i, fmt.Errorf("the lists before are in force: %w", err))
		}
		return
	}
	f.stale, f.bytes, f.took = false, bytes, time.Since(began)
	for i := range f.files {
		f.files[i].Error = f.files[i].unread
	}
	if len(lists) > 0 {
		f.deps.Log.Info("drop lists loaded", "lists", len(lists), "prefixes", prefixes, "bytes", bytes, "took", f.took.Round(time.Millisecond))
	}
}

// read says whether the file had something new.
func (f *Feed) read(i int) bool {
	path := f.cfg.Sources[i].File
	now := stamp{missing: true}
	info, err := os.Stat(path)
	if err == nil {
		now = stamp{changed: info.ModTime(), size: info.Size()}
		if !info.Mode().IsRegular() {
			err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("not a regular file")}
		}
	}
	if now == f.files[i].seen {
		return false
	}
	f.files[i].seen = now
	var prefixes []netip.Prefix
	if err == nil {
		prefixes, err = parse(path)
	}
	if err != nil {
		f.fail(i, err)
		f.files[i].unread = err.Error()
		return false
	}
	f.files[i].unread = ""
	f.files[i].State = State{Name: f.files[i].Name, Prefixes: len(prefixes), Since: time.Now()}
	f.files[i].prefixes = prefixes
	return true
}

func parse(path string) ([]netip.Prefix, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	prefixes, err := droplist.Parse(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return prefixes, nil
}

func (f *Feed) fail(i int, err error) {
	if f.files[i].Error != err.Error() {
		f.deps.Log.Error("a drop list is not as its file", "list", f.files[i].Name, "err", err)
	}
	f.files[i].Error = err.Error()
}

// Table is what all lists together take.
type Table struct {
	Bytes int           // of kernel memory
	Took  time.Duration // to read the files that had changed, compile and load
}

// States are those of the lists, in order, and their table's.
func (f *Feed) States() (states []State, t Table) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.files {
		states = append(states, file.State)
	}
	return states, Table{f.bytes, f.took}
}

// Degraded names the lists that are not as their files.
func (f *Feed) Degraded() (list []string) {
	states, _ := f.States()
	for _, s := range states {
		if s.Error != "" {
			list = append(list, "drop_list:"+s.Name+": "+s.Error)
		}
	}
	return list
}
