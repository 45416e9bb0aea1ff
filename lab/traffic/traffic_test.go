package traffic_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
	"ngfw.sh/lab/traffic"
)

// TestEveryClientIsSeen runs the traffic faster than usual and waits until the
// router has seen each kind of it.
func TestEveryClientIsSeen(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	rules := []struct{ name, match string }{
		{"lan1 http", `iifname "lan1" tcp dport 80`},
		{"lan1 https", `iifname "lan1" tcp dport 443`},
		{"lan1 http over IPv6", `iifname "lan1" ip6 daddr 2001:db8:ff::1 tcp dport 80`},
		{"lan1 dns", `iifname "lan1" udp dport 53`},
		{"lan1 bulk", `iifname "lan1" tcp dport 5201`},
		{"lan2 http", `iifname "lan2" tcp dport 80`},
		{"iot1 https", `iifname "iot1" tcp dport 443`},
		{"iot1 into lan", `iifname "iot1" ip daddr 10.77.1.10`},
		{"scan of wan", `iifname "wan" ip daddr 203.0.113.2 tcp flags syn`},
		{"replayed time", `iifname "lan1" udp dport 123`},
		{"replayed echo over IPv6", `iifname "lan1" icmpv6 type echo-request`},
		{"replayed quic", `iifname "lan1" udp dport 443`},
		{"answers to replayed echo", `iifname "wan" icmp type echo-reply`},
	}
	l.Exec(lab.RTR, "nft", "add table inet seen")
	l.Exec(lab.RTR, "nft", "add chain inet seen pre { type filter hook prerouting priority 0; }")
	for i, r := range rules {
		l.Exec(lab.RTR, "nft", fmt.Sprintf(`add rule inet seen pre %s counter comment "%d"`, r.match, i))
	}

	cfg := traffic.DefaultConfig()
	cfg.Every, cfg.BulkEvery = 30*time.Millisecond, 2*time.Second
	g, err := traffic.New(cfg, traffic.Deps{Lab: l.Lab, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	labtest.Eventually(t, 60*time.Second, func() error {
		listing := l.Exec(lab.RTR, "nft", "list chain inet seen pre")
		for i, r := range rules {
			for line := range strings.Lines(listing) {
				if strings.Contains(line, "comment "+strconv.Quote(strconv.Itoa(i))) && strings.Contains(line, "packets 0 ") {
					return fmt.Errorf("%s: nothing seen", r.name)
				}
			}
		}
		return nil
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
