package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/miekg/dns"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench"
)

// latencies are the way of a row to a reader, the way of a change to packets,
// and the memory of the processes after both.
func latencies(ctx context.Context, opts options) ([]bench.Result, error) {
	fmt.Fprintln(os.Stderr, "starting the product")
	s, err := startSystem(ctx, opts.bin)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	fmt.Fprintln(os.Stderr, "measuring packet to frame")
	frames, err := s.packetToFrame(ctx, 400)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "measuring REST answer to enforcement")
	enforced, err := s.restToEnforcement(ctx, 60)
	if err != nil {
		return nil, err
	}
	agent, agentPeak, err := s.resident("ngfw-agent", "run")
	if err != nil {
		return nil, err
	}
	cloud, cloudPeak, err := s.resident("ngfw-cloud", "serve")
	if err != nil {
		return nil, err
	}
	return []bench.Result{
		bench.Figure("packet → WebSocket frame, p99", quantile(frames, 0.99), "ms", bench.Lower).AtLeast(500).
			Noting(fmt.Sprintf("%d new flows, one at a time; median %.0f ms", len(frames), quantile(frames, 0.5))),
		bench.Figure("REST answer → enforcement, p99", quantile(enforced, 0.99), "ms", bench.Lower).AtLeast(1000).
			Noting(fmt.Sprintf("%d changes, a probe every 2 ms; median %.0f ms", len(enforced), quantile(enforced, 0.5))),
		bench.Figure("agent, resident", agent, "MB", bench.Lower).AtLeast(64).Noting(fmt.Sprintf("peak %.0f", agentPeak)),
		bench.Figure("cloud without the engine, resident", cloud, "MB", bench.Lower).AtLeast(150).Noting(fmt.Sprintf("peak %.0f", cloudPeak)),
	}, nil
}

func quantile(ms []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(ms))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// packetToFrame sends single packets of new flows from lan1 to inet and waits
// for each one's row on the live stream. Milliseconds.
func (s *system) packetToFrame(ctx context.Context, n int) ([]float64, error) {
	address := "ws" + strings.TrimPrefix(s.url, "http") + "/api/traffic/logs/stream?event=open&src=" + lab.IP4(lab.LAN1).String()
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: map[string][]string{"Authorization": {"Bearer " + s.token}}})
	if err != nil {
		return nil, err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	var took []float64
	for i := range n {
		port := 20000 + i
		var sent time.Time
		err := s.lab.In(lab.LAN1, func() error {
			c, err := net.Dial("udp", net.JoinHostPort(lab.IP4(lab.INET).String(), fmt.Sprint(port)))
			if err != nil {
				return err
			}
			defer c.Close()
			sent = time.Now()
			_, err = c.Write([]byte("x"))
			return err
		})
		if err != nil {
			return nil, err
		}
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		for {
			_, data, err := conn.Read(wait)
			if err != nil {
				cancel()
				return nil, fmt.Errorf("the row of packet %d did not come: %w", i, err)
			}
			var frame struct {
				Type string
				Data struct {
					DestinationPort int `json:"destination_port"`
				}
			}
			if err := json.Unmarshal(data, &frame); err != nil {
				cancel()
				return nil, err
			}
			if frame.Type == "log" && frame.Data.DestinationPort == port {
				break
			}
		}
		cancel()
		took = append(took, time.Since(sent).Seconds()*1000)
	}
	return took, nil
}

// restToEnforcement switches a drop rule for lan2's DNS queries on and off. A
// prober asks every two milliseconds from a new socket; a change is enforced
// when no query sent later gets the old treatment. Milliseconds.
func (s *system) restToEnforcement(ctx context.Context, n int) ([]float64, error) {
	rule := map[string]any{
		"name": "bench", "zone_from": "LAN", "zone_to": "WAN", "source": lab.IP4(lab.LAN2).String(),
		"protocol": "udp", "port": "53", "action": "drop", "enabled": false,
	}
	var made struct{ ID int64 }
	if err := s.call(ctx, "POST", "/api/firewall/rules", rule, &made); err != nil {
		return nil, err
	}
	p := &prober{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { p.done <- s.lab.In(lab.LAN2, p.run) }()
	var took []float64
	for i := range n {
		rule["enabled"] = i%2 == 0
		if err := s.call(ctx, "PUT", fmt.Sprintf("/api/firewall/rules/%d", made.ID), rule, nil); err != nil {
			return nil, err
		}
		answered := time.Now()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(600 * time.Millisecond): // requests are limited to 120 a minute
		}
		took = append(took, p.lastOld(answered, i%2 == 0))
	}
	close(p.stop)
	return took, <-p.done
}

// prober sends queries and notes which were answered.
type prober struct {
	stop chan struct{}
	done chan error
	mu   sync.Mutex
	sent []probe
}

type probe struct {
	at       time.Time
	answered bool
}

func (p *prober) run() error {
	query := new(dns.Msg)
	query.SetQuestion("web.lab.test.", dns.TypeA)
	data, err := query.Pack()
	if err != nil {
		return err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return nil
		case <-tick.C:
		}
		c, err := net.Dial("udp", net.JoinHostPort(lab.IP4(lab.INET).String(), "53"))
		if err != nil {
			return err
		}
		p.mu.Lock()
		at := len(p.sent)
		p.sent = append(p.sent, probe{at: time.Now()})
		p.mu.Unlock()
		if _, err := c.Write(data); err != nil {
			c.Close()
			continue // refused by the router: not answered
		}
		go func() {
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			if _, err := c.Read(make([]byte, 512)); err == nil {
				p.mu.Lock()
				p.sent[at].answered = true
				p.mu.Unlock()
			}
		}()
	}
}

// lastOld is how long after the answer the last probe was sent that still got
// the old treatment; dropping says which is the new one. Probes of the last
// 300 ms may still be waiting and are left out.
func (p *prober) lastOld(since time.Time, dropping bool) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := 0.0
	for _, probe := range p.sent {
		if probe.at.Before(since) || time.Since(probe.at) < 300*time.Millisecond {
			continue
		}
		if probe.answered == dropping {
			last = probe.at.Sub(since).Seconds() * 1000
		}
	}
	return last
}
