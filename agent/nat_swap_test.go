package agent_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// While NAT rules change under load, every connection goes where one of the
// revisions sends it, or is cut; none reaches the router itself, and none is
// translated otherwise than judged.
func TestNATSwapsUnderLoad(t *testing.T) {
	r := newRouter(t)
	for _, host := range []string{"lan1", "lan2"} {
		r.serve(host, ":8000")
	}
	r.serve("rtr", ":8080") // what a packet would reach that is not translated
	r.rulesAndNAT(nil, toLAN1, fromA)
	r.startPolicy()
	r.says("inet", "http://203.0.113.2:8080/", "lan1 hears 203.0.113.1")

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var asked, cut [2]atomic.Int64
	answers := map[string]int{"lan1 hears 203.0.113.1": 0, "lan2 hears 203.0.113.1": 1}
	for range 4 {
		clients.Go(func() {
			dialer := net.Dialer{Timeout: 2 * time.Second}
			client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
				DisableKeepAlives: true,
				DialContext: func(ctx context.Context, network, to string) (c net.Conn, err error) {
					if in := r.Lab.Lab.In("inet", func() error { c, err = dialer.DialContext(ctx, network, to); return nil }); in != nil {
						return nil, in
					}
					return c, err
				},
			}}
			for ctx.Err() == nil {
				resp, err := client.Get("http://203.0.113.2:8080/")
				if err != nil {
					cut[0].Add(1)
					continue
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				which, ok := answers[string(text)]
				switch {
				case err != nil:
					cut[1].Add(1)
				case !ok:
					t.Errorf("%q answered", text)
				default:
					asked[which].Add(1)
				}
			}
		})
	}
	const swaps = 16
	enough := func() bool { return asked[0].Load() >= swaps && asked[1].Load() >= swaps }
	for i, begun := 0, time.Now(); i < swaps || !enough() && time.Since(begun) < 30*time.Second; i++ {
		to, from := toLAN2, fromB
		if i%2 == 1 {
			to, from = toLAN1, fromA
		}
		r.rulesAndNAT(nil, to, from)
		r.reload()
	}
	stop()
	clients.Wait()
	t.Logf("%d and %d answers, %d connections did not come about, %d were cut", asked[0].Load(), asked[1].Load(), cut[0].Load(), cut[1].Load())
	if !enough() {
		t.Error("too few answers to say anything")
	}
	// A change cuts what was under way, at most one connection of each client.
	if n := cut[0].Load() + cut[1].Load(); n > 4*swaps {
		t.Errorf("%d connections failed in %d changes", n, swaps)
	}
	// A change ends conntrack's entries of the flows that it cuts: a packet that was
	// judged just before has none any more, and the backstop drops it.
	r.clean("stale_state")
}
