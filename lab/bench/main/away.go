package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench"
)

// The cloud is away for awayFor while lan1 opens awayRate flows a second.
const (
	awayFor  = 10 * time.Minute
	awayRate = 200
)

// away takes the router's way to its cloud away, in real time, and counts what is
// in the log when it has come back: every flow once.
func away(ctx context.Context, opts options) ([]bench.Result, error) {
	fmt.Fprintln(os.Stderr, "starting the product")
	s, err := startSystem(ctx, opts.bin)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	if err := s.cable("down"); err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "the cloud is away for %v\n", awayFor)
	begun := time.Now()
	sent := 0
	err = s.lab.In(lab.LAN1, func() error { sent, err = openFlows(ctx, awayFor, awayRate); return err })
	if err != nil {
		return nil, err
	}
	back := time.Now()
	if err := s.cable("up"); err != nil {
		return nil, err
	}
	opened := "/api/traffic/logs?limit=1&count=exact&event=open&proto=udp&port=20000-39999&src=" + lab.IP4(lab.LAN1).String() + "&dst=" + lab.IP4(lab.INET).String() + "&from=" + url.QueryEscape(fmt.Sprint(begun.Unix()))
	there := 0
	for deadline := back.Add(5 * time.Minute); there < sent; {
		var page struct{ Total int }
		if err := s.call(ctx, "GET", opened, nil, &page); err != nil {
			return nil, err
		}
		there = page.Total
		if there < sent && time.Now().After(deadline) {
			break // the figure says how many
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second): // requests are limited
		}
	}
	took := time.Since(back)
	return []bench.Result{
		bench.Figure("rows missing or twice after the cloud was away", float64(max(there-sent, sent-there)), "rows", bench.Lower).AtLeast(0).
			Noting(fmt.Sprintf("%d flows in %v of real time, %d in the log; all there %.1f s after the way was back", sent, back.Sub(begun).Round(time.Second), there, took.Seconds())),
	}, nil
}

// cable sets the link that leads to the cloud.
func (s *system) cable(state string) error {
	return s.lab.In(lab.RTR, func() error {
		out, err := exec.Command("ip", "link", "set", "mgmt0", state).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// openFlows sends one datagram of each of as many flows as go into the time, evenly.
func openFlows(ctx context.Context, during time.Duration, rate int) (sent int, err error) {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	to := &net.UDPAddr{IP: lab.IP4(lab.INET).AsSlice()}
	begun := time.Now()
	for total := int(during.Seconds()) * rate; sent < total; sent++ {
		if sent > 0 && sent%20_000 == 0 { // ports of flows that may still be there are not taken again
			conn.Close()
			if conn, err = net.ListenUDP("udp4", nil); err != nil {
				return sent, err
			}
		}
		select {
		case <-ctx.Done():
			return sent, ctx.Err()
		case <-time.After(time.Until(begun.Add(time.Duration(sent) * time.Second / time.Duration(rate)))):
		}
		to.Port = 20_000 + sent%20_000
		if _, err := conn.WriteToUDP([]byte("x"), to); err != nil {
			return sent, fmt.Errorf("send: %w", err)
		}
	}
	return sent, nil
}
