package feed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ngfw.sh/dataplane/droplist"
	"ngfw.sh/internal/outside"
)

// site is a server of one list.
type site struct {
	*httptest.Server
	mu        sync.Mutex // guards what follows
	body      string
	status    int
	tags      bool // it knows ETags, else dates
	asked     int
	confirmed int
}

func newSite(t *testing.T) *site {
	s := &site{status: http.StatusOK, tags: true}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked++
		const date = "Thu, 01 Jan 2026 00:00:00 GMT"
		tag := fmt.Sprintf("\"%x\"", sha256.Sum256([]byte(s.body)))
		if s.status == http.StatusOK && (s.tags && r.Header.Get("If-None-Match") == tag || !s.tags && r.Header.Get("If-Modified-Since") == date) {
			s.confirmed++
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if s.tags {
			w.Header().Set("ETag", tag)
		} else {
			w.Header().Set("Last-Modified", date)
		}
		w.WriteHeader(s.status)
		w.Write([]byte(s.body))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) says(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

// fetches is a bench whose one list is fetched.
func fetches(t *testing.T, s *site, edit func(*Config)) *bench {
	b := newBench(t)
	cfg := b.feed.cfg
	cfg.Bytes = 1 << 16
	cfg.Sources = []Source{{Name: "../x", URL: s.URL, Every: time.Hour, Client: s.Client()}}
	if edit != nil {
		edit(&cfg)
	}
	b.feed = New(cfg, b.feed.deps)
	return b
}

// again is the feed of the next process.
func (b *bench) again() {
	b.feed, b.table = New(b.feed.cfg, b.feed.deps), nil
	b.feed.Look()
}

// fetch is one turn of follow.
func (b *bench) fetch(want string) {
	b.t.Helper()
	err := b.feed.fetch(b.t.Context(), b.feed.cfg.Sources[0])
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		b.t.Errorf("%v, want %q", err, want)
	}
	b.feed.fetched(0, err)
	b.feed.Look()
}

func TestFetch(t *testing.T) {
	s := newSite(t)
	b := fetches(t, s, nil)
	b.feed.Look()
	b.degraded("has not been fetched")
	s.says(200, "192.0.2.0/24 ; SBL1\n198.51.100.1\n")
	b.fetch("")
	b.has("192.0.2.1", "../x")
	b.degraded("")
	states, _ := b.feed.States()
	if st := states[0]; st.Prefixes != 2 || time.Since(st.Confirmed) > time.Minute || len(st.SHA256) != 64 {
		t.Errorf("%+v", st)
	}
	loads := b.loads
	b.fetch("")
	if s.confirmed != 1 || b.loads != loads {
		t.Errorf("confirmed %d times by its tag, %d loads more", s.confirmed, b.loads-loads)
	}

	for _, bad := range []struct {
		status     int
		body, want string
	}{
		{500, "", "500"},
		{200, "<html>Not here</html>\n", "it holds no prefix"},
		{200, "# nothing\n", "it holds no prefix"},
		{200, "1.2.3.4\nwhat\nis\nthis\n", "3 of its lines"},
		{200, "10.0.0.0/8\n", "private and reserved"},
		{200, "8.0.0.0/7\n", "wider than a /8"},
		{200, strings.Repeat("#", 1<<17), "larger than"},
	} {
		s.says(bad.status, bad.body)
		b.fetch(bad.want)
		b.has("192.0.2.1", "../x")
		b.degraded("what was fetched before is in force")
	}
	// Over a restart, and without a server, it is what it was.
	s.CloseClientConnections()
	s.Close()
	b.again()
	b.has("198.51.100.1", "../x")
	b.degraded("")
	b.fetch("refused")
	b.has("198.51.100.1", "../x")
	b.degraded("in force, last confirmed at 20")
}

func TestShrinking(t *testing.T) {
	s := newSite(t)
	b := fetches(t, s, nil)
	var all strings.Builder
	for i := range 200 {
		fmt.Fprintf(&all, "198.51.100.%d\n", i)
	}
	s.says(200, all.String())
	b.fetch("")
	s.says(200, "198.51.100.7\n")
	b.fetch("shrunk from 200 prefixes to 1")
	b.has("198.51.100.8", "../x")
	b.feed.cfg.Sources[0].MayShrink = true
	b.fetch("")
	b.has("198.51.100.8", "")
	b.has("198.51.100.7", "../x")
	s.says(200, strings.Join(strings.Split(all.String(), "\n")[:30], "\n"))
	b.fetch("")
	b.has("198.51.100.29", "../x")
}

// TestDates: a server without tags; the copy of another address is none.
func TestDates(t *testing.T) {
	s := newSite(t)
	s.tags = false
	b := fetches(t, s, nil)
	s.says(200, "192.0.2.0/24\n")
	b.fetch("")
	b.fetch("")
	if s.confirmed != 1 {
		t.Errorf("confirmed %d times by its date", s.confirmed)
	}
	b.feed.cfg.Sources[0].URL += "/other"
	b.again()
	b.degraded("has not been fetched")
	b.fetch("")
	if s.confirmed != 1 {
		t.Error("another address was asked for what is newer than this one's copy")
	}
	b.has("192.0.2.1", "../x")
}

// TestDamagedCopy is fetched again, also where the new one is as the old was.
func TestDamagedCopy(t *testing.T) {
	s := newSite(t)
	b := fetches(t, s, nil)
	s.says(200, "192.0.2.0/24\n")
	b.fetch("")
	path := b.feed.copyPath(b.feed.cfg.Sources[0], dataEnd)
	if err := os.WriteFile(path, []byte("0.0.0.0/0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.again()
	b.degraded("not what was fetched")
	b.fetch("")
	b.has("192.0.2.1", "../x")
	b.degraded("")
	// It stops between the two renames.
	path = b.feed.copyPath(b.feed.cfg.Sources[0], originEnd)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.says(200, "198.51.100.0/24\n")
	b.fetch("")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	b.again()
	b.degraded("not what was fetched")
	b.fetch("")
	b.has("198.51.100.1", "../x")
	b.degraded("")
}

// TestRunFetches: at once, again after a failure, and when it is due; copies of
// lists that are gone go.
func TestRunFetches(t *testing.T) {
	s := newSite(t)
	s.says(503, "")
	b := fetches(t, s, func(c *Config) {
		c.Interval, c.Retry, c.Sources[0].Every = time.Millisecond, time.Millisecond, 10*time.Millisecond
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.Dir, "old.list"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.feed.Run(ctx) }()
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	asked := func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }
	prefixes := func() int { states, _ := b.feed.States(); return states[0].Prefixes }
	until("it is tried again", func() bool { return asked() > 2 })
	s.says(200, "192.0.2.0/24\n")
	until("it is there", func() bool { return prefixes() == 1 })
	s.says(200, "192.0.2.0/24\n198.51.100.0/24\n")
	until("the newer is there", func() bool { return prefixes() == 2 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(b.feed.cfg.Dir, "*")); len(files) != 2 {
		t.Errorf("on disk: %v", files)
	}
}

// TestOnlyOthersAreAsked: the client that the agent uses asks no address of its own.
func TestOnlyOthersAreAsked(t *testing.T) {
	s := newSite(t)
	s.says(200, "192.0.2.0/24\n")
	b := fetches(t, s, func(c *Config) { c.Sources[0].Client = outside.Client(outside.Config{}) })
	b.fetch("this router itself")
	if s.asked > 0 {
		t.Error("it was asked")
	}
}

// TestOwnAndAllowed addresses are on no list, whatever lists say, and a State says so.
func TestOwnAndAllowed(t *testing.T) {
	b := newBench(t, "a")
	own := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	var failing error
	b.feed.deps.Own = func() ([]netip.Addr, error) { return own, failing }
	b.feed.cfg.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}
	b.write("a", "192.0.2.0/24\n198.51.100.0/24\n2001:db8::/32\n203.0.113.0/24\n")
	b.feed.Look()
	for address, list := range map[string]string{
		"192.0.2.1": "", "192.0.2.2": "a", "198.51.100.15": "", "198.51.100.16": "a", "203.0.113.7": "a",
	} {
		b.has(address, list)
	}
	note := func() string { states, _ := b.feed.States(); return states[0].Note }
	if !strings.Contains(note(), "3 of its prefixes (first 192.0.2.0/24)") {
		t.Error(note())
	}
	b.degraded("")
	loads := b.loads
	own[0] = netip.MustParseAddr("10.0.0.1") // as DHCP gives it another
	b.feed.Look()
	b.has("192.0.2.1", "a")
	own = append(own, netip.MustParseAddr("10.0.0.2"))
	b.feed.Look()
	own = append(own, netip.MustParseAddr("203.0.113.7"))
	b.feed.Look()
	b.has("203.0.113.7", "")
	failing = errors.New("no")
	b.feed.Look()
	b.has("203.0.113.7", "")
	if b.loads != loads+2 {
		t.Errorf("%d loads for two changes that matter", b.loads-loads)
	}
}

func TestZones(t *testing.T) {
	b := newBench(t, "a")
	b.feed.cfg.Sources[0].Zones = []string{"WAN"}
	b.write("a", "192.0.2.0/24\n")
	b.feed.Look()
	b.has("192.0.2.1", "")
	if b.table.LookupFrom("WAN", netip.MustParseAddr("192.0.2.1"), droplist.Source4) != 1 {
		t.Error("it does not hold in its zone")
	}
}
