// Package feed owns the drop lists: it reads their files, fetches those of an
// address, has their table made and loaded, and does so again when one changes.
//
// All lists are one table, replaced as a whole. A list is taken whole or not at
// all: while one cannot be read or fetched, what it last held stays in force, also
// over a restart, and status says so. Whoever writes a file should rename a
// finished one into place. What is fetched lands in a file first, so that there is
// one way into the table.
//
// Addresses that are allowed, and the router's own, are on no list; a State says
// when one named them. What is fetched is believed less than a file: private
// networks are left out of it, and it may neither name much of the Internet nor
// shrink to little at once.
package feed

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ngfw.sh/dataplane/droplist"
)

// Config of a Feed.
type Config struct {
	Sources       []Source
	Interval      time.Duration  // between two looks at the files
	Dir           string         // holds copies of what is fetched
	Bytes         int64          // of what is fetched, at most
	Timeout       time.Duration  // of a fetch
	Retry         time.Duration  // of a fetch that failed, at first
	Allow         []netip.Prefix // that are on no list
	CountriesFile string         // MMDB
}

// DefaultConfig looks every two seconds, and fetches up to 32 MiB: some two
// million addresses.
func DefaultConfig(dir string) Config {
	return Config{Interval: 2 * time.Second, Dir: dir, Bytes: 32 << 20, Timeout: 5 * time.Minute, Retry: 10 * time.Second}
}

// Deps of a Feed.
type Deps struct {
	Log *slog.Logger
	// Load makes a table the one in force; it may keep it.
	Load func(*droplist.Table) error
	// Own are the router's addresses; nil: none are known.
	Own func() ([]netip.Addr, error)
}

// Feed keeps the table as the lists are.
type Feed struct {
	cfg  Config
	deps Deps

	mu     sync.Mutex // guards what follows
	lists  []list
	own    []netip.Prefix
	bytes  int
	took   time.Duration
	stale  bool  // the table in force is not that of lists
	failed error // why it cannot be
}

type list struct {
	seen     stamp
	prefixes []netip.Prefix
	since    time.Time
	origin   origin // of a copy
	spared   int    // prefixes that name what is on no list
	first    netip.Prefix
	unread   error // why the file is not in force
	unasked  error // why the newest could not be fetched
	said     string
}

// New makes a feed that has read nothing yet.
func New(cfg Config, deps Deps) *Feed {
	f := &Feed{cfg: cfg, deps: deps, lists: make([]list, len(cfg.Sources)), stale: true}
	for i := range f.lists {
		f.lists[i].seen = stamp{size: -1} // like no file
	}
	return f
}

// Run follows the lists until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	if err := f.prune(); err != nil {
		f.deps.Log.Warn("copies of drop lists that are no more stay on disk", "err", err)
	}
	var fetching sync.WaitGroup
	defer fetching.Wait()
	for i, s := range f.cfg.Sources {
		if s.URL != "" {
			fetching.Go(func() { f.follow(ctx, i) })
		}
	}
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
	for i := range f.lists {
		f.stale = f.read(i) || f.stale
	}
	f.stale = f.readdress() || f.stale
	if f.stale {
		f.load(began)
	}
	for i := range f.lists {
		f.say(i)
	}
}

// load makes the table of what was read. mu is held.
func (f *Feed) load(began time.Time) {
	lists := make([]droplist.List, len(f.lists))
	allow := slices.Concat(f.cfg.Allow, f.own)
	for i, s := range f.cfg.Sources {
		lists[i] = droplist.List{Name: s.Name, Match: s.Match, Zones: s.Zones, Prefixes: f.lists[i].prefixes}
	}
	table, err := droplist.Compile(lists, allow...)
	bytes, prefixes := 0, 0
	if err == nil {
		bytes, prefixes = table.Bytes(), table.Stats.Prefixes
		err = f.deps.Load(table)
	}
	if f.failed = err; err != nil {
		return
	}
	f.stale, f.bytes, f.took = false, bytes, time.Since(began)
	for i := range f.lists {
		l := &f.lists[i]
		l.spared, l.first = droplist.Touched(l.prefixes, allow)
	}
	if len(lists) > 0 {
		f.deps.Log.Info("drop lists loaded", "lists", len(lists), "prefixes", prefixes, "bytes", bytes, "took", f.took.Round(time.Millisecond))
	}
}

// read says whether the list has something new. mu is held.
func (f *Feed) read(i int) bool {
	s, l := f.cfg.Sources[i], &f.lists[i]
	now, err := stampOf(f.path(s))
	if now == l.seen {
		return false
	}
	l.seen = now
	if now.missing && s.URL != "" {
		err = errNoCopy
	}
	var prefixes []netip.Prefix
	if err == nil {
		prefixes, err = f.prefixes(s)
	}
	if l.unread = err; err != nil {
		return false
	}
	if s.URL != "" {
		_, l.origin, _ = f.readCopy(s)
	}
	l.prefixes, l.since = prefixes, time.Now()
	return true
}

// readdress notes the router's own addresses, and says whether a list names some
// that are new or gone. mu is held.
func (f *Feed) readdress() bool {
	if f.deps.Own == nil || len(f.lists) == 0 {
		return false
	}
	addresses, err := f.deps.Own()
	if err != nil {
		f.deps.Log.Warn("the router's addresses are unreadable", "err", err)
		return false
	}
	var own, changed []netip.Prefix
	for _, a := range addresses {
		own = append(own, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, p := range slices.Concat(own, f.own) {
		if slices.Contains(own, p) != slices.Contains(f.own, p) {
			changed = append(changed, p)
		}
	}
	f.own = own
	for i := range f.lists {
		if n, _ := droplist.Touched(f.lists[i].prefixes, changed); n > 0 {
			return true
		}
	}
	return false
}

// fetched notes what came of a fetch.
func (f *Feed) fetched(i int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := &f.lists[i]
	if l.unasked = err; err == nil && l.unread != nil {
		l.seen = stamp{size: -1} // a copy that was damaged is whole again, and may look the same
	}
	if _, o, err := f.readCopy(f.cfg.Sources[i]); err == nil {
		l.origin = o
	}
}

// say logs what is wrong with a list, once. mu is held.
func (f *Feed) say(i int) {
	now := f.state(i)
	if text := now.Error + now.Note; f.lists[i].said != text {
		f.lists[i].said = text
		switch {
		case now.Error != "":
			f.deps.Log.Error("a drop list is not as its source", "list", now.Name, "err", now.Error)
		case now.Note != "":
			f.deps.Log.Warn("a drop list is not wholly in force", "list", now.Name, "why", now.Note)
		}
	}
}

// state of a list. mu is held.
func (f *Feed) state(i int) State {
	l := f.lists[i]
	s := State{Name: f.cfg.Sources[i].Name, URL: f.cfg.Sources[i].URL, Zones: f.cfg.Sources[i].Zones, Prefixes: len(l.prefixes), Since: l.since}
	if s.URL != "" {
		s.Confirmed, s.SHA256 = l.origin.confirmed(), l.origin.SHA256
	}
	switch {
	case f.failed != nil:
		s.Error = fmt.Sprintf("the lists before are in force: %v", f.failed)
	case l.unasked != nil && !s.Confirmed.IsZero():
		s.Error = fmt.Sprintf("%v; what was fetched before is in force, last confirmed at %s", l.unasked, s.Confirmed.UTC().Format(time.RFC3339))
	case l.unasked != nil:
		s.Error = l.unasked.Error()
	case l.unread != nil:
		s.Error = l.unread.Error()
	}
	if l.spared > 0 {
		s.Note = fmt.Sprintf("%d of its prefixes (first %v) name addresses that are allowed or the router's own, which are left out", l.spared, l.first)
	}
	return s
}
