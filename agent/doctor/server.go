package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"ngfw.sh/agent/settings"
)

// server goes towards the cloud step by step and stops at the first that
// fails: name, connection, TLS.
func (d *Doctor) server(ctx context.Context, s settings.Settings) []Result {
	if s.Server == "" {
		return []Result{warn("server", "none is set: the agent works without a cloud", "run ngfw-agent configure --server URL")}
	}
	to, err := settings.ParseServer(s.Server, s.Insecure)
	if err != nil {
		return []Result{fail("server", err.Error(), "run ngfw-agent configure --server URL")}
	}
	var results []Result
	if _, err := netip.ParseAddr(to.Host); err != nil {
		r := d.resolve(ctx, to)
		results = append(results, r)
		if r.Outcome == Fail {
			return results
		}
	}
	step, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	conn, err := d.deps.Dial(step, "tcp", to.Address())
	if err != nil {
		return append(results, fail("server TCP", fmt.Sprintf("%s: %v", to.Address(), plain(err)),
			"see that the cloud listens there for agents, and that no firewall on the way refuses the port"))
	}
	defer conn.Close()
	results = append(results, ok("server TCP", to.Address()+" accepts connections"))
	if !to.TLS {
		if to.Loopback() {
			return append(results, ok("server TLS", "not used: the server is on this machine"))
		}
		return append(results, warn("server TLS", "the settings ask for plain text", "use grpcs:// or wss://: the device key can be read on the way"))
	}
	return append(results, d.handshake(ctx, conn, to, s))
}

func (d *Doctor) resolve(ctx context.Context, to settings.Server) Result {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	found, err := d.deps.Lookup(ctx, to.Host)
	if err != nil {
		return fail("server DNS", fmt.Sprintf("%s: %v", to.Host, plain(err)), "correct the name, or the name servers in /etc/resolv.conf")
	}
	return ok("server DNS", to.Host+" is "+strings.Join(found, ", "))
}

func (d *Doctor) handshake(ctx context.Context, conn net.Conn, to settings.Server, s settings.Settings) Result {
	const check = "server TLS"
	roots, err := pool(s)
	if err != nil {
		return fail(check, "ca_file: "+err.Error(), "run ngfw-agent configure --ca-file F with the CA that the cloud wrote into its data directory")
	}
	next := []string{"h2"}
	if to.WebSocket {
		next = []string{"http/1.1"}
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	c := tls.Client(conn, &tls.Config{ServerName: to.Host, RootCAs: roots, NextProtos: next, Time: d.deps.Now, MinVersion: tls.VersionTLS12})
	err = c.HandshakeContext(ctx)
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		header  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return fail(check, "the server's certificate comes from an authority that is not known here",
			"run ngfw-agent configure --ca-file F with the CA that the cloud wrote into its data directory")
	case errors.As(err, &name):
		return fail(check, plain(err), "use the name that is in the certificate, or give the cloud a certificate for "+to.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fail(check, plain(err), "set this machine's clock (now "+d.deps.Now().UTC().Format(time.DateTime)+" UTC), or renew the server's certificate")
	case errors.As(err, &header):
		return fail(check, "what listens on "+to.Address()+" does not speak TLS", "give the port on which the cloud takes agents")
	case err != nil:
		return fail(check, plain(err), "see that the cloud listens there for agents, with TLS")
	}
	defer c.Close()
	leaf := c.ConnectionState().PeerCertificates[0]
	detail := fmt.Sprintf("the certificate is trusted until %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	if left := leaf.NotAfter.Sub(d.deps.Now()); left < 14*24*time.Hour {
		return warn(check, detail, "renew the server's certificate")
	}
	if !to.WebSocket && c.ConnectionState().NegotiatedProtocol != "h2" {
		return fail(check, "the server does not speak HTTP/2, which gRPC needs", "give the port on which the cloud takes agents, or use wss://")
	}
	return ok(check, detail)
}

// plain drops the address from a network error: the detail names it already.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}
