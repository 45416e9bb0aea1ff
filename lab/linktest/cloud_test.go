package linktest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"ngfw.sh/cloud/devicelink"
	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/flowbatch"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const goodKey = "ngfw_dev_0123456789abcdef0123456789abcdef"

// authority is a CA and a certificate for loopback.
type authority struct {
	caFile string
	cert   tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, leafKey := key(), key()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{caFile: filepath.Join(t.TempDir(), "ca.pem"), cert: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}}
	if err := os.WriteFile(a.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// cloud is what survives a restart of the server: the fakes are its database.
type cloud struct {
	t         *testing.T
	authority authority
	address   string
	cfg       devicelink.Config
	plaintext bool

	mu     sync.Mutex
	server *devicelink.Server
	kill   func()

	keys    map[string]devicelink.Device
	refused int // authentications

	events   []string // of Reports, in order
	statuses []*ngfwv1.Status
	metrics  int

	version  int64
	sections map[string][]byte
	mode     string

	rows      map[string][]uint64 // "epoch/number" → flow ids
	order     []string
	doubles   int
	storeHook func(attempt int, b *ngfwv1.FlowBatch) error // before storing
	afterHook func(b *ngfwv1.FlowBatch) error              // after storing
	attempts  int
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{
		t: t, authority: newAuthority(t), cfg: devicelink.DefaultConfig(),
		keys: map[string]devicelink.Device{goodKey: {ID: "dev1", OrgID: "org1", Plan: "pro"}},
		rows: map[string][]uint64{},
	}
	c.cfg.RetryMin, c.cfg.RetryMax = time.Millisecond, 10*time.Millisecond
	return c
}

// start serves, on the same port as before. The server it returns is the live one.
func (c *cloud) start() {
	c.t.Helper()
	address := c.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	server, err := devicelink.New(c.cfg, devicelink.Deps{
		Devices: c, Reports: reports{c}, Documents: c, Ingest: ingest{c},
		Logger: slog.New(slog.NewTextHandler(c.t.Output(), nil)).With("end", "cloud"),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	options := devicelink.ServerOptions(c.cfg)
	if !c.plaintext {
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&c.authority.cert)))
	}
	g := grpc.NewServer(options...)
	ngfwv1.RegisterLinkServiceServer(g, server)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Run(ctx) })
	running.Go(func() { _ = g.Serve(l) })
	var once sync.Once
	kill := func() {
		once.Do(func() {
			g.Stop() // connections break as they do when a process dies
			cancel()
			running.Wait()
		})
	}
	c.mu.Lock()
	c.server, c.kill = server, kill
	c.mu.Unlock()
	c.t.Cleanup(kill)
}

func (c *cloud) stop() {
	c.mu.Lock()
	kill := c.kill
	c.mu.Unlock()
	kill()
}

func (c *cloud) link() *devicelink.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

// with runs f under the lock, and is how tests look and change.
func (c *cloud) with(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cloud) AuthenticateDevice(_ context.Context, key string) (devicelink.Device, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.keys[key]
	if !ok {
		c.refused++
		return devicelink.Device{}, fault.New(fault.Unauthorized, "unknown key")
	}
	return d, nil
}

func (c *cloud) Document(context.Context, string) (int64, map[string][]byte, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version, c.sections, c.mode, nil
}

type reports struct{ *cloud }

func (r reports) note(format string, args ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
	return nil
}

func (r reports) Connected(_ context.Context, id string, h devicelink.Hello) error {
	return r.note("connected %s %s", id, h.AgentVersion)
}
func (r reports) Disconnected(_ context.Context, id string) error {
	return r.note("disconnected %s", id)
}
func (r reports) ConfigApplied(_ context.Context, id, section string, version int64) error {
	return r.note("applied %s %s %d", id, section, version)
}
func (r reports) ConfigFailed(_ context.Context, id, section string, version int64, message, field string) error {
	return r.note("failed %s %s %d %s: %s", id, section, version, field, message)
}
func (r reports) Status(_ context.Context, _ string, s *ngfwv1.Status) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statuses = append(r.statuses, s)
	return nil
}
func (r reports) Metrics(context.Context, string, *ngfwv1.Metrics) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cloud.metrics++
	return nil
}

// ingest stores exactly once by (epoch, number), and says when it was asked to
// do so twice although it had answered where it stood.
type ingest struct{ *cloud }

func (ingest) Show(string, string, string, *ngfwv1.FlowBatch) {}

func (i ingest) Positions(context.Context, string) (map[string]uint64, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := map[string]uint64{}
	for _, name := range i.order {
		epoch, number := split(name)
		out[epoch] = max(out[epoch], number)
	}
	return out, nil
}

func split(name string) (epoch string, number uint64) {
	if _, err := fmt.Sscanf(name, "%26s/%d", &epoch, &number); err != nil {
		panic(err)
	}
	return epoch, number
}

var errDown = errors.New("the store is down")

func (i ingest) Store(ctx context.Context, org, device, plan string, batches []*ngfwv1.FlowBatch) (int, error) {
	for n, b := range batches {
		if err := i.storeOne(ctx, org, device, plan, b); err != nil {
			return n, err
		}
	}
	return len(batches), nil
}

func (i ingest) storeOne(ctx context.Context, org, device, plan string, b *ngfwv1.FlowBatch) error {
	if org != "org1" || device != "dev1" || plan != "pro" {
		return fmt.Errorf("batch of %s/%s/%s", org, device, plan)
	}
	i.mu.Lock()
	i.attempts++
	attempt, before, after := i.attempts, i.storeHook, i.afterHook
	i.mu.Unlock()
	if before != nil {
		if err := before(attempt, b); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	i.mu.Lock()
	name := fmt.Sprintf("%s/%d", b.Epoch, b.Number)
	if _, twice := i.rows[name]; twice {
		i.doubles++
	} else {
		var flows []uint64
		for e := range flowbatch.Events(b, &flowbatch.Names{}) {
			flows = append(flows, e.FlowId)
		}
		i.rows[name] = flows
		i.order = append(i.order, name)
	}
	i.mu.Unlock()
	if after != nil {
		return after(b)
	}
	return nil
}

// flows lists what was stored, in order.
func (c *cloud) flows() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []uint64
	for _, name := range c.order {
		out = append(out, c.rows[name]...)
	}
	return out
}
