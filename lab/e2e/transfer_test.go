package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// books are kept by a client of the lab, under an address of its own: what it
// transferred, flow by flow, to be compared with the rows of the log.
type books struct {
	run    *run
	host   string
	source netip.Addr

	mu   sync.Mutex
	port int           // of the last transfer: each has its own
	kept map[int]int64 // source port → bytes of TCP payload, both ways
}

// keepBooks gives a host a further address.
func (r *run) keepBooks(t testing.TB, host string, source string) *books {
	t.Helper()
	r.must(host, "ip", "address", "add", source+"/24", "dev", lab.HostPort)
	return &books{run: r, host: host, source: netip.MustParseAddr(source), port: 20000, kept: map[int]int64{}}
}

// transfer downloads size bytes by curl and books them; further arguments are
// curl's.
func (b *books) transfer(size int, more ...string) error {
	b.mu.Lock()
	b.port++
	port := b.port
	b.mu.Unlock()
	argv := append([]string{"curl", "--silent", "--show-error", "--fail", "--connect-timeout", "5", "--max-time", "60",
		"--interface", b.source.String(), "--local-port", strconv.Itoa(port), "--output", "/dev/null",
		"--write-out", "%{local_port} %{size_request} %{size_header} %{size_download}"}, more...)
	out, err := b.run.exec(b.host, append(argv, fmt.Sprintf("http://%s/bytes/%d", lab.IP4(lab.INET), size))...)
	if err != nil {
		return err
	}
	var local int
	var request, header, download int64
	if _, err := fmt.Sscan(out, &local, &request, &header, &download); err != nil || local != port || download != int64(size) {
		return fmt.Errorf("curl says %q: %v", out, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept[port] = request + header + download
	return nil
}

// keepOn makes transfers one after the other until the returned function is
// called: whatever happens meanwhile, none may fail.
func (b *books) keepOn(t testing.TB, size int) (stop func()) {
	t.Helper()
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if err := b.transfer(size); err != nil {
				t.Errorf("a client is disturbed: %v", err)
				return
			}
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { close(quit) }); <-done }
	t.Cleanup(stop)
	return stop
}

// balance waits until the log holds each transfer once: one row that opens it,
// one that closes it, and sums that are what the client saw, no more and no
// less.
func (b *books) balance(t testing.TB) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) == 0 {
		t.Fatal("nothing was transferred: nothing to compare")
	}
	labtest.Eventually(t, 3*patience, func() error {
		rows, err := b.run.api.rows(t, url.Values{"src": {b.source.String()}, "proto": {"tcp"}})
		if err != nil {
			return err
		}
		return b.compare(rows)
	})
	t.Logf("%s: %d transfers, each once", b.source, len(b.kept))
}

// Every segment has 20 bytes of IPv4 and 32 of TCP with timestamps, the first
// of each side 8 more (RFC 9293, RFC 7323).
const perSegment, perConnection = 52, 16

func (b *books) compare(rows []entry) error {
	type tally struct{ opened, closed, bytes, packets int64 }
	flows := map[int]*tally{}
	for _, e := range rows {
		f := flows[e.SourcePort]
		if f == nil {
			f = &tally{}
			flows[e.SourcePort] = f
		}
		f.bytes += e.Bytes
		f.packets += e.Packets
		switch e.Event {
		case "open":
			f.opened++
		case "close":
			f.closed++
		case "update":
		default:
			return fmt.Errorf("port %d: a row says %+v", e.SourcePort, e)
		}
	}
	var wrong []string
	for port, want := range b.kept {
		f := flows[port]
		if f == nil {
			wrong = append(wrong, fmt.Sprintf("port %d is missing", port))
			continue
		}
		delete(flows, port)
		got := f.bytes - perSegment*f.packets - perConnection
		// A segment that was sent again counts again; of a busy machine a few.
		if f.opened != 1 || f.closed != 1 || got < want || got > want+want/4 {
			wrong = append(wrong, fmt.Sprintf("port %d: opened %d times, closed %d, %d bytes of %d", port, f.opened, f.closed, got, want))
		}
	}
	for port := range flows {
		wrong = append(wrong, fmt.Sprintf("port %d was no transfer", port))
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}
