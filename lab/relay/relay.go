// Package relay owns the way from a lab's router to a server on the machine
// that the lab stands on: TCP connections to the address of the host mgmt are
// carried, byte by byte, to an address of the machine, usually on loopback. So
// the machine needs no interface or address of the lab's.
package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"ngfw.sh/lab"
)

// Port is where the relay listens, on the address of host mgmt.
const Port = 9090

// Address is where the router finds what the relay leads to.
func Address() netip.AddrPort { return netip.AddrPortFrom(lab.IP4(lab.MGMT), Port) }

// Config says where connections are carried to.
type Config struct {
	To string // host:port
}

// Deps is what a Relay works with.
type Deps struct {
	Lab *lab.Lab
	Log *slog.Logger

	// Dial connects to Config.To in the machine's own namespace.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Relay carries the connections of one lab.
type Relay struct {
	cfg   Config
	deps  Deps
	ready chan struct{}
}

// New prepares a relay; nothing happens before Run.
func New(cfg Config, deps Deps) *Relay {
	if deps.Dial == nil {
		deps.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	return &Relay{cfg: cfg, deps: deps, ready: make(chan struct{})}
}

// Ready is closed when the relay accepts connections.
func (r *Relay) Ready() <-chan struct{} { return r.ready }

// Run relays until ctx ends, then closes every connection.
func (r *Relay) Run(ctx context.Context) error {
	var ln net.Listener
	err := r.deps.Lab.In(lab.MGMT, func() (err error) {
		ln, err = net.Listen("tcp", Address().String())
		return err
	})
	if err != nil {
		return fmt.Errorf("listen in %s: %w", r.deps.Lab.Namespace(lab.MGMT), err)
	}
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	close(r.ready)
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		open.Go(func() { r.carry(ctx, conn.(*net.TCPConn)) })
	}
}

func (r *Relay) carry(ctx context.Context, in *net.TCPConn) {
	defer in.Close()
	conn, err := r.deps.Dial(ctx, "tcp", r.cfg.To)
	if err != nil {
		r.deps.Log.Warn("cannot reach the far end", "to", r.cfg.To, "error", err)
		in.SetLinger(0) // a reset says more than an orderly close
		return
	}
	out := conn.(*net.TCPConn)
	defer out.Close()
	defer context.AfterFunc(ctx, func() { in.Close(); out.Close() })()
	var both sync.WaitGroup
	both.Go(func() { pump(out, in) })
	both.Go(func() { pump(in, out) })
	both.Wait()
}

// pump copies one direction and passes its end on: a close as a close, a
// failure as a reset.
func pump(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.SetLinger(0)
		to.Close()
		from.SetLinger(0)
		from.Close()
		return
	}
	to.CloseWrite()
}
