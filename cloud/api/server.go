// Package api owns the outside of the cloud: the gRPC server, REST and live
// streams beside it, errors, limits and the OpenAPI document.
//
// There is one way to a service: the interceptor chain (chain.go). REST requests
// take it too, over an in-process connection (gateway.go), so that nothing is
// checked in two places. An operation is data (package operation, out of the
// proto options); nothing here is written per endpoint but the live stream.
//
// Services come as registrations of their generated server interfaces. A Server
// does not know what they do, and keeps no state but limits, the answers to
// idempotency keys and open streams; all of it is bounded and ends with the
// process.
package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"ngfw.sh/cloud/api/openapi"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/quota"
	"ngfw.sh/cloud/api/replay"
	"ngfw.sh/cloud/api/ticket"
)

// pipeSize is the buffer of the in-process connection, streamWindow what one
// stream may have in flight on it: a slow reader is felt by its service after so
// much and not after megabytes.
const (
	pipeSize     = 256 << 10
	streamWindow = 64 << 10
	maxAnswer    = 64 << 20
)

// Server is the API of one process. Run may be called once.
type Server struct {
	cfg     Config
	deps    Deps
	closing context.Context
	close   context.CancelFunc

	inside  *grpc.Server // behind the front
	outside *grpc.Server // for agents and gRPC clients
	pipe    *bufconn.Listener
	conn    *grpc.ClientConn
	front   *front

	ready              chan struct{} // closed when both addresses are listening
	httpAddr, grpcAddr net.Addr
}

// New checks the configuration and puts the parts together; nothing listens.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("api configuration: %w", err)
	}
	if deps.Authenticator == nil || deps.Devices == nil || deps.Logger == nil || deps.Registerer == nil || deps.Gatherer == nil {
		return nil, errors.New("api: Authenticator, Devices, Logger, Registerer and Gatherer are needed")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Server{cfg: cfg, deps: deps, ready: make(chan struct{}), pipe: bufconn.Listen(pipeSize)}
	s.closing, s.close = context.WithCancel(context.Background())
	m := newMetrics(deps.Registerer)
	c := &chain{
		cfg: cfg, auth: deps.Authenticator, devices: deps.Devices, validate: deps.Validate,
		ops:     map[string]*operation.Operation{},
		windows: quota.NewWindows(cfg.Limits.Window, cfg.Limits.Keys), slots: quota.NewSlots(),
		answers: replay.New[reply](replayFor, replayMost), requests: deps.Requests,
		log: deps.Logger, metrics: m, now: deps.Now, closing: s.closing,
	}
	tickets := tickets{store: ticket.NewStore(ticketLifetime, maxTickets, deps.Now)}
	s.deps.Services = append(slices.Clone(deps.Services), tickets.service())
	ops, bindings, err := s.register(c)
	if err != nil {
		return nil, err
	}
	table, err := operation.NewTable(ops)
	if err != nil {
		return nil, err
	}
	s.conn, err = grpc.NewClient("passthrough:///api",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(maxAnswer),
		grpc.WithUnaryInterceptor(attach),
	)
	if err != nil {
		return nil, fmt.Errorf("in-process connection: %w", err)
	}
	g, err := newGateway(s.conn, s.deps.Services, bindings)
	if err != nil {
		return nil, err
	}
	doc, err := openapi.Document(ops, slices.Sorted(maps.Keys(deps.Public))...)
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	pages, err := s.pages(doc)
	if err != nil {
		return nil, err
	}
	s.front = &front{
		cfg: cfg, auth: deps.Authenticator, table: table, gateway: g, pages: pages, log: deps.Logger, metrics: m, now: deps.Now,
		dashboard: deps.Dashboard,
		bridge:    &bridge{cfg: cfg, tickets: tickets.store, conn: s.conn, log: deps.Logger, metrics: m, closing: s.closing},
	}
	s.front.bridge.originAllowed = s.front.allowedOrigin
	return s, nil
}

func (s *Server) pages(doc []byte) (map[string]http.Handler, error) {
	pages := map[string]http.Handler{
		"/":             s.start(),
		"/health":       http.HandlerFunc(s.health),
		"/metrics":      metricsPage(s.deps.Gatherer, s.cfg.MetricsToken),
		"/openapi.json": document("application/json", doc),
	}
	for path, h := range s.deps.Public {
		if _, taken := pages[path]; taken || !plainPath(path) {
			return nil, fmt.Errorf("api: %q cannot be a public path", path)
		}
		pages[path] = h
	}
	return pages, nil
}

// start is the page at /.
func (s *Server) start() http.Handler {
	if s.deps.Dashboard != nil {
		return s.deps.Dashboard
	}
	return indexPage()
}

// Ready is closed when both addresses are listening.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// HTTPAddr is the address of the front, once ready.
func (s *Server) HTTPAddr() net.Addr { return s.httpAddr }

// GRPCAddr is the address of the gRPC listener, once ready; nil without one.
func (s *Server) GRPCAddr() net.Addr { return s.grpcAddr }
