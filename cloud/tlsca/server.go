package tlsca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Own shows a certificate of the authority in dir for localhost, the loopback
// addresses, the host of the listen address unless that is a wildcard, and the
// further names and addresses.
func Own(dir, listen string, names []string, log *slog.Logger) (*Certificate, error) {
	return own(dir, listen, names, log, time.Now)
}

func own(dir, listen string, names []string, log *slog.Logger, now func() time.Time) (*Certificate, error) {
	dns, ips, err := subjects(listen, names)
	if err != nil {
		return nil, err
	}
	a, err := openAuthority(dir, now())
	if err != nil {
		return nil, err
	}
	return newCertificate(log, now, time.Hour, func(now time.Time, current *tls.Certificate) (*tls.Certificate, error) {
		if current != nil && now.Before(current.Leaf.NotAfter.Add(-serverLife/3)) {
			return current, nil
		}
		return a.server(dns, ips, now)
	})
}

// CheckName refuses what can be neither a DNS name nor an address.
func CheckName(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		bad := strings.IndexFunc(l, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
		})
		if l == "" || len(l) > 63 || bad >= 0 || l[0] == '-' || l[len(l)-1] == '-' {
			return fmt.Errorf("%q is neither a DNS name nor an address", name)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || len(name) > 253 {
		return fmt.Errorf("%q is neither a DNS name nor an address", name)
	}
	return nil
}

// subjects sorts names and addresses, each once.
func subjects(listen string, names []string) (dns []string, ips []net.IP, err error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen address %q: %w", listen, err)
	}
	all := []string{"localhost", "127.0.0.1", "::1"}
	if addr, err := netip.ParseAddr(host); host != "" && (err != nil || !addr.IsUnspecified()) {
		all = append(all, host)
	}
	var addrs []netip.Addr
	for _, n := range append(all, names...) {
		if err := CheckName(n); err != nil {
			return nil, nil, err
		}
		if addr, err := netip.ParseAddr(n); err != nil {
			dns = append(dns, strings.ToLower(n))
		} else {
			addrs = append(addrs, addr.WithZone("").Unmap())
		}
	}
	slices.Sort(dns)
	slices.SortFunc(addrs, netip.Addr.Compare)
	for _, a := range slices.Compact(addrs) {
		ips = append(ips, a.AsSlice())
	}
	return slices.Compact(dns), ips, nil
}

// server makes a key and a certificate that only a TLS server can use.
func (a *authority) server(dns []string, ips []net.IP, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	end := now.Add(serverLife)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	if !now.Before(end) {
		return nil, fmt.Errorf("the certification authority expired on %s", end.Format(time.DateOnly))
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "ngfw-cloud"},
		NotBefore:             now.Add(-skew),
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              dns,
		IPAddresses:           ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
