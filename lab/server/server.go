// Package server owns the servers of a lab's inet: HTTP and HTTPS, DNS, and
// iperf3, on their well-known ports, over IPv4 and IPv6. They are real ones:
// what the router sees between them and curl, dig or iperf3 is ordinary traffic.
//
// Run opens its sockets inside inet, wherever its process is, and serves until
// its context ends. It knows nothing of the router.
package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"ngfw.sh/lab"
)

// Config says what is served.
type Config struct {
	Iperf bool // run Debian's iperf3 server too
}

// DefaultConfig serves everything.
func DefaultConfig() Config { return Config{Iperf: true} }

// Deps is what a Server works with.
type Deps struct {
	Lab *lab.Lab
	Log *slog.Logger
}

// Server is the set of servers of one lab.
type Server struct {
	cfg  Config
	deps Deps

	ready chan struct{}
}

// New prepares a server; nothing happens before Run.
func New(cfg Config, deps Deps) *Server {
	return &Server{cfg: cfg, deps: deps, ready: make(chan struct{})}
}

// Ready is closed when every socket accepts.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends or a server fails.
func (s *Server) Run(ctx context.Context) error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	sockets, err := s.listen()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	site := site(s.deps.Log)
	serveHTTP(ctx, group, site, sockets.http)
	serveHTTP(ctx, group, site, tls.NewListener(sockets.https, &tls.Config{
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"h2", "http/1.1"},
	}))
	serveDNS(ctx, group, sockets)
	if s.cfg.Iperf {
		if err := s.iperf(ctx, group); err != nil {
			return err
		}
	}
	close(s.ready)
	return group.Wait()
}

type sockets struct {
	http, https, dnsTCP net.Listener
	dnsUDP              []net.PacketConn
}

// listen opens all sockets inside inet. DNS over UDP gets one per address: an
// answer must come from the address that was asked.
func (s *Server) listen() (socks sockets, err error) {
	var lc net.ListenConfig
	ctx := context.Background()
	tcp := func(port string) net.Listener {
		var ln net.Listener
		if err == nil {
			ln, err = lc.Listen(ctx, "tcp", ":"+port)
		}
		return ln
	}
	failed := s.deps.Lab.In(lab.INET, func() error {
		socks.http, socks.https, socks.dnsTCP = tcp("80"), tcp("443"), tcp("53")
		for _, addr := range append(lab.Far, lab.IP4(lab.INET), lab.IP6(lab.INET)) {
			if err != nil {
				break
			}
			var pc net.PacketConn
			if pc, err = lc.ListenPacket(ctx, "udp", net.JoinHostPort(addr.String(), "53")); err == nil {
				socks.dnsUDP = append(socks.dnsUDP, pc)
			}
		}
		return err
	})
	if failed != nil {
		socks.close()
		return sockets{}, fmt.Errorf("listen in %s: %w", s.deps.Lab.Namespace(lab.INET), failed)
	}
	return socks, nil
}

func (s sockets) close() {
	for _, ln := range []net.Listener{s.http, s.https, s.dnsTCP} {
		if ln != nil {
			ln.Close()
		}
	}
	for _, pc := range s.dnsUDP {
		pc.Close()
	}
}

func serveHTTP(ctx context.Context, group *errgroup.Group, handler http.Handler, ln net.Listener) {
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	group.Go(func() error {
		if err := srv.Serve(ln); err != http.ErrServerClosed {
			return fmt.Errorf("serve http on %s: %w", ln.Addr(), err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return srv.Close()
	})
}
