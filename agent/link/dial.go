package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const maxReceive = 16 << 20 // a whole configuration

// carrier moves messages; gRPC is the first. One goroutine sends, one receives,
// Close may be called from any and ends both.
type carrier interface {
	Send(*ngfwv1.AgentMessage) error
	Recv() (*ngfwv1.CloudMessage, error)
	Close()
}

type grpcCarrier struct {
	ngfwv1.LinkService_ConnectClient
	conn   *grpc.ClientConn
	cancel context.CancelFunc
}

func (c *grpcCarrier) Close() {
	c.cancel()
	_ = c.conn.Close()
}

// dial makes one connection. gRPC's own reconnecting is kept out of it: an
// attempt dials once and what breaks stays broken, so that Run alone decides
// when the cloud sees a SYN.
func (c *Client) dial(ctx context.Context) (carrier, error) {
	creds, handshake, err := c.credentials()
	if err != nil {
		return nil, err
	}
	d := &dialer{client: c}
	conn, err := grpc.NewClient("passthrough:///"+c.target.String(),
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(d.dial),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 4 * c.cfg.DialTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReceive)),
		grpc.WithUserAgent("ngfw-agent/"+c.cfg.AgentVersion))
	if err != nil {
		return nil, fmt.Errorf("prepare connection: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := ngfwv1.NewLinkServiceClient(conn).Connect(ctx)
	if err != nil {
		cancel()
		_ = conn.Close()
		if cause := errors.Join(d.failure(), handshake.failure()); cause != nil {
			return nil, cause // gRPC's text wraps these in three layers of its own
		}
		return nil, cause("connect", err)
	}
	return &grpcCarrier{LinkService_ConnectClient: stream, conn: conn, cancel: cancel}, nil
}

// dialer opens the TCP connection of one attempt.
type dialer struct {
	client *Client

	mu   sync.Mutex
	used bool
	err  error
}

func (d *dialer) failure() error { d.mu.Lock(); defer d.mu.Unlock(); return d.err }

func (d *dialer) dial(ctx context.Context, _ string) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used {
		return nil, errors.New("one attempt dials once")
	}
	d.used = true
	conn, err := d.client.open(ctx)
	d.err = err
	return conn, err
}

// open tries the cloud's addresses in the resolver's order.
func (c *Client) open(ctx context.Context) (net.Conn, error) {
	addrs, err := c.resolve(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, a := range addrs {
		if err := c.target.permits(a); err != nil {
			failed = append(failed, err)
			continue
		}
		at := netip.AddrPortFrom(a, c.target.port)
		c.mu.Lock()
		c.endpoint = at
		c.mu.Unlock()
		if c.deps.Dialing != nil {
			if err := c.deps.Dialing(at); err != nil {
				failed = append(failed, fmt.Errorf("permit %s: %w", at, err))
				continue
			}
		}
		conn, err := (&net.Dialer{Timeout: c.cfg.DialTimeout}).DialContext(ctx, "tcp", at.String())
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// resolve finds the addresses; when the resolver fails, those of last time: the
// router may be the one that answers for DNS.
func (c *Client) resolve(ctx context.Context) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(c.target.host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	addrs, err := c.deps.Resolver.LookupNetIP(ctx, "ip", c.target.host)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || len(addrs) == 0 {
		if len(c.resolved) > 0 {
			c.log.Warn("name of the cloud does not resolve, its last addresses are tried", "host", c.target.host, "error", err)
			return c.resolved, nil
		}
		return nil, fmt.Errorf("resolve %s: %w", c.target.host, errors.Join(err, errNoAddress))
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	c.resolved = addrs
	return addrs, nil
}

var errNoAddress = errors.New("the name has no address")

// handshakes remembers why TLS failed.
type handshakes struct {
	credentials.TransportCredentials
	explain func(error) error
	mu      *sync.Mutex
	err     *error
}

func (h *handshakes) failure() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return *h.err
}

// ClientHandshake implements credentials.TransportCredentials.
func (h *handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		h.mu.Lock()
		*h.err = h.explain(err)
		h.mu.Unlock()
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (h *handshakes) Clone() credentials.TransportCredentials {
	c := *h
	c.TransportCredentials = h.TransportCredentials.Clone()
	return &c
}

// credentials reads the CA anew for each connection: it may have been renewed.
func (c *Client) credentials() (credentials.TransportCredentials, *handshakes, error) {
	if c.target.plaintext {
		return insecure.NewCredentials(), nil, nil
	}
	roots, err := c.cfg.roots()
	if err != nil {
		return nil, nil, err
	}
	h := &handshakes{
		TransportCredentials: credentials.NewTLS(&tls.Config{ServerName: c.target.host, RootCAs: roots, MinVersion: tls.VersionTLS12}),
		mu:                   new(sync.Mutex), err: new(error), explain: c.explainTLS,
	}
	return h, h, nil
}

func (c *Client) explainTLS(err error) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		by := "an authority of this system"
		if c.cfg.CAFile != "" {
			by = c.cfg.CAFile
		}
		return fmt.Errorf("the certificate of %s is not signed by %s: give the cloud's CA with --ca-file: %w", c.target.host, by, err)
	}
	return fmt.Errorf("TLS with %s: %w", c.target.host, err)
}

// cause turns the end of a stream into what Run acts upon.
func cause(doing string, err error) error {
	switch st := status.Convert(err); st.Code() {
	case codes.Unauthenticated, codes.PermissionDenied:
		return &refusedError{reason: st.Message()}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// within closes the carrier if the returned function is not called in time.
func within(d time.Duration, cr carrier) (stop func() bool) {
	return time.AfterFunc(d, cr.Close).Stop
}
