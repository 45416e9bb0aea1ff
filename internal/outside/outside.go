// Package outside owns the HTTP client that asks other hosts alone, for what a
// configuration names by its address: who may name it is not by that one who may
// ask the router's own services, or a cloud's metadata, which answer whoever asks
// from here.
//
// Addresses are looked at when they are dialled, since names and redirects lead
// anywhere. What began with https does not go on without. A client is safe for
// concurrent use.
package outside

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// Config of a client.
type Config struct {
	Private bool           // addresses of private networks may be asked
	Roots   *x509.CertPool // authorities that are believed; nil: the system's
}

const maxRedirects = 5

// Client makes one.
func Client(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		return elsewhere(address, cfg.Private)
	}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = dialer.DialContext
	transport.ResponseHeaderTimeout = 30 * time.Second
	transport.MaxResponseHeaderBytes = 64 << 10
	if cfg.Roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, CheckRedirect: Secured}
}

// shared is the network between a provider and its customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// elsewhere refuses addresses that mean this host or its link, and those of
// private networks if they are not meant to be asked.
func elsewhere(address string, private bool) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := a.Addr().Unmap()
	switch {
	case ip.IsLoopback(), ip.IsUnspecified():
		return fmt.Errorf("%s is this router itself: name a file instead", ip)
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip == metadata:
		return fmt.Errorf("%s is no address of a server", ip)
	case !private && (ip.IsPrivate() || shared.Contains(ip)):
		return fmt.Errorf("%s is in a private network, which is asked only where that is allowed", ip)
	}
	return nil
}

// metadata is that of clouds which have it beside the link-local one (AWS, IPv6).
var metadata = netip.MustParseAddr("fd00:ec2::254")

// Secured is a CheckRedirect that keeps what began with https from going on without.
func Secured(next *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case next.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errors.New("redirected from https to " + next.URL.Scheme)
	}
	return nil
}
