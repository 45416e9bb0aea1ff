package ruleset

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const maxRedirects = 5

// outside is a client that asks other hosts alone. Who may name a source is not by that one who
// may ask the router's own services, or a cloud's metadata, which answer whoever asks from
// here. Addresses are looked at when they are dialled: names and redirects lead anywhere.
func outside() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		return elsewhere(address)
	}}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = dialer.DialContext
	transport.ResponseHeaderTimeout = 30 * time.Second
	transport.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: transport, CheckRedirect: secured}
}

// elsewhere refuses addresses that mean this host or its link.
func elsewhere(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := a.Addr().Unmap()
	switch {
	case ip.IsLoopback(), ip.IsUnspecified():
		return fmt.Errorf("%s is this router itself: name a file instead", ip)
	case ip.IsLinkLocalUnicast(), ip.IsMulticast(), ip == metadata:
		return fmt.Errorf("%s is no address of a rule server", ip)
	}
	return nil
}

// metadata is that of clouds which have it beside the link-local one (AWS, IPv6).
var metadata = netip.MustParseAddr("fd00:ec2::254")

// secured keeps what began with https from going on without.
func secured(next *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case next.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errors.New("redirected from https to " + next.URL.Scheme)
	}
	return nil
}
