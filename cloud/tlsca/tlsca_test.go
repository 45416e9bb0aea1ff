package tlsca

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var quiet = slog.New(slog.DiscardHandler)

func mustOwn(t *testing.T, dir, listen string, names ...string) *Certificate {
	t.Helper()
	c, err := Own(dir, listen, names, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// roots is what a router is given.
func roots(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in ca.pem")
	}
	return pool
}

// dial is a router that connects to name; it returns what verification says.
func dial(t *testing.T, c *Certificate, pool *x509.CertPool, name string) error {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: name})
	if err == nil {
		conn.Close()
	}
	return err
}

func TestRoutersTrustTheNamesAsked(t *testing.T) {
	dir := t.TempDir()
	c := mustOwn(t, dir, "192.0.2.7:9090", "cloud.example.org", "2001:db8::1")
	pool := roots(t, dir)
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "192.0.2.7", "cloud.example.org", "2001:db8::1"} {
		if err := dial(t, c, pool, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"example.org", "192.0.2.8", "x.cloud.example.org"} {
		if dial(t, c, pool, name) == nil {
			t.Errorf("%s is trusted", name)
		}
	}
	if dial(t, mustOwn(t, t.TempDir(), "127.0.0.1:0"), pool, "localhost") == nil {
		t.Error("another installation is trusted")
	}
}

func TestConstraints(t *testing.T) {
	dir := t.TempDir()
	leaf := mustOwn(t, dir, ":9090").current.Load().Leaf
	a, err := openAuthority(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !a.cert.IsCA || a.cert.MaxPathLen != 0 || !a.cert.MaxPathLenZero || a.cert.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("authority: %+v", a.cert)
	}
	if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature || !cmp.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("server: %+v", leaf)
	}
	if !cmp.Equal(leaf.DNSNames, []string{"localhost"}) || len(leaf.IPAddresses) != 2 {
		t.Errorf("a wildcard became a name: %v %v", leaf.DNSNames, leaf.IPAddresses)
	}
	if leaf.SerialNumber.Cmp(a.cert.SerialNumber) == 0 || leaf.NotAfter.After(a.cert.NotAfter) {
		t.Error("serial number or end")
	}
	for name, mode := range map[string]os.FileMode{KeyFile: 0o600, CertificateFile: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestTheAuthorityStays(t *testing.T) {
	dir := t.TempDir()
	mustOwn(t, dir, ":9090")
	pool := roots(t, dir)
	if err := dial(t, mustOwn(t, dir, ":9090"), pool, "localhost"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	// A crash after the key and before the certificate.
	if err := os.Remove(filepath.Join(dir, CertificateFile)); err != nil {
		t.Fatal(err)
	}
	c := mustOwn(t, dir, ":9090")
	if err := dial(t, c, roots(t, dir), "localhost"); err != nil {
		t.Error(err)
	}
}

func TestABrokenAuthorityIsNotReplaced(t *testing.T) {
	other := t.TempDir()
	mustOwn(t, other, ":9090")
	for _, tc := range []struct {
		name, want string
		harm       func(dir string) error
	}{
		{"no key", "ca-key.pem is missing", func(dir string) error { return os.Remove(filepath.Join(dir, KeyFile)) }},
		{"empty key", "no PEM key", func(dir string) error { return os.WriteFile(filepath.Join(dir, KeyFile), nil, 0o600) }},
		{"empty certificate", "no PEM certificate", func(dir string) error { return os.WriteFile(filepath.Join(dir, CertificateFile), nil, 0o644) }},
		{"another's key", "does not belong", func(dir string) error {
			b, err := os.ReadFile(filepath.Join(other, KeyFile))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, KeyFile), b, 0o600)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			mustOwn(t, dir, ":9090")
			if err := tc.harm(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Own(dir, ":9090", nil, quiet); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Error(err)
			}
		})
	}
}

func TestRenewalBeforeTheEnd(t *testing.T) {
	now := time.Now()
	c, err := own(t.TempDir(), ":9090", nil, quiet, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first := c.current.Load()
	now = now.Add(serverLife*2/3 - time.Minute)
	if c.refresh(); c.current.Load() != first {
		t.Error("renewed too early")
	}
	now = now.Add(2 * time.Minute)
	if c.refresh(); c.current.Load() == first || !c.current.Load().Leaf.NotAfter.After(first.Leaf.NotAfter) {
		t.Error("not renewed")
	}
	// Once the authority has ended, the last certificate stays and no panic comes.
	last := c.current.Load()
	now = now.Add(authorityLife)
	if c.refresh(); c.current.Load() != last {
		t.Error("a certificate of an expired authority")
	}
	if _, err := own(t.TempDir(), ":9090", nil, quiet, func() time.Time { return now }); err != nil {
		t.Error(err)
	}
}

func TestAnExpiredAuthorityIsNamed(t *testing.T) {
	dir := t.TempDir()
	mustOwn(t, dir, ":9090")
	late := time.Now().Add(authorityLife)
	if _, err := own(dir, ":9090", nil, quiet, func() time.Time { return late }); err == nil || !strings.Contains(err.Error(), "expired on") {
		t.Error(err)
	}
}

func TestFilesAreFollowed(t *testing.T) {
	write := func(dir string, from *Certificate, at time.Time) (cert, key string) {
		cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
		pair := from.current.Load()
		if err := os.WriteFile(cert, certPEM(pair), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(key, keyPEM(t, pair), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{cert, key} {
			if err := os.Chtimes(f, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return cert, key
	}
	dir, ca := t.TempDir(), t.TempDir()
	start := time.Now().Add(-time.Hour)
	cert, key := write(dir, mustOwn(t, ca, ":9090"), start)
	c, err := Files(cert, key, quiet)
	if err != nil {
		t.Fatal(err)
	}
	first := c.current.Load()
	if c.refresh(); c.current.Load() != first {
		t.Error("reloaded without a change")
	}
	write(dir, mustOwn(t, ca, ":9090"), start.Add(time.Minute))
	if c.refresh(); c.current.Load() == first {
		t.Error("a changed file was not taken up")
	}
	second := c.current.Load()
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.refresh(); c.current.Load() != second {
		t.Error("a broken pair was taken up")
	}
	if _, err := Files(cert, key, quiet); err == nil {
		t.Error("started with a broken pair")
	}
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{"a": true, "cloud.example.org": true, "192.0.2.1": true, "::1": true, "xn--bcher-kva.example": true, "1and1.de": true,
		"": false, "a..b": false, "-a": false, "a_b": false, "a b": false, "192.0.2.300": false, "*.example.org": false, "bücher.example": false,
		"a:1": false, strings.Repeat("a", 64): false, strings.Repeat("a.", 126) + "a": true, strings.Repeat("a.", 127) + "a": false} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, _, err := subjects("nonsense", nil); err == nil {
		t.Error("a listen address without a port")
	}
	if _, ips, err := subjects("[fe80::1%eth0]:9090", nil); err != nil || !slices.ContainsFunc(ips, net.ParseIP("fe80::1").Equal) {
		t.Error(ips, err)
	}
}
