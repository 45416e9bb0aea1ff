package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs one certificate for the name cloud.test.
func authority(t *testing.T, until time.Time) (caPEM []byte, cert tls.Certificate) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	start := time.Now().Add(-24 * time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: until.Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	must(err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: start, NotAfter: until, DNSNames: []string{"cloud.test"}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// listen accepts connections and shakes hands until the test ends; without a
// configuration it answers in plain text.
func listen(t *testing.T, cfg *tls.Config) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if cfg == nil {
				c.Write([]byte("220 mail.example ESMTP\r\n"))
			} else {
				tls.Server(c, cfg).Handshake() // a refusal is the client's to report
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr()
}

func TestWayToTheServer(t *testing.T) {
	year := time.Now().Add(365 * 24 * time.Hour)
	caPEM, cert := authority(t, year)
	_, soon := authority(t, time.Now().Add(24*time.Hour))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, caPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	good := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	trusted := "api_key: " + testKey + "\nca_file: " + ca + "\nserver: "

	for name, tc := range map[string]struct {
		settings string
		serve    *tls.Config
		plain    bool // serve without TLS
		lookup   error
		now      time.Time
		want     map[string]Outcome
		text     string
	}{
		"all is well": {settings: trusted + "grpcs://cloud.test:9090", serve: good,
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": OK}, text: "trusted until"},
		"by address": {settings: trusted + "grpcs://127.0.0.1:9090", serve: good,
			want: map[string]Outcome{"server TCP": OK, "server TLS": Fail}, text: "use the name that is in the certificate"},
		"unknown name": {settings: trusted + "grpcs://cloud.test:9090", serve: good, lookup: &net.DNSError{Err: "no such host", Name: "cloud.test"},
			want: map[string]Outcome{"server DNS": Fail}, text: "no such host"},
		"nobody listens": {settings: trusted + "grpcs://cloud.test:9090",
			want: map[string]Outcome{"server DNS": OK, "server TCP": Fail}, text: "connection refused"},
		"unknown authority": {settings: trusted + "grpcs://cloud.test:9090", serve: &tls.Config{Certificates: []tls.Certificate{soon}, NextProtos: []string{"h2"}},
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Fail}, text: "--ca-file"},
		"other name": {settings: trusted + "grpcs://other.test:9090", serve: good,
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Fail}, text: "cloud.test"},
		"our clock is wrong": {settings: trusted + "grpcs://cloud.test:9090", serve: good, now: year.Add(24 * time.Hour),
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Fail}, text: "clock"},
		"ends soon": {settings: trusted + "grpcs://cloud.test:9090", serve: good, now: year.Add(-24 * time.Hour),
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Warn}, text: "renew"},
		"no TLS there": {settings: trusted + "grpcs://cloud.test:9090", plain: true,
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Fail}, text: "does not speak TLS"},
		"no HTTP/2": {settings: trusted + "grpcs://cloud.test:9090", serve: &tls.Config{Certificates: []tls.Certificate{cert}},
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Fail}, text: "HTTP/2"},
		"websocket needs none": {settings: trusted + "wss://cloud.test", serve: &tls.Config{Certificates: []tls.Certificate{cert}},
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": OK}, text: "trusted"},
		"CA is gone": {settings: "server: grpcs://cloud.test:9090\nca_file: /nonexistent/ca.pem", serve: good,
			want: map[string]Outcome{"server DNS": OK, "server TCP": OK, "server TLS": Fail}, text: "no such file"},
		"plain on loopback": {settings: trusted + "grpc://127.0.0.1:9090", plain: true,
			want: map[string]Outcome{"server TCP": OK, "server TLS": OK}, text: "this machine"},
		"plain elsewhere": {settings: "insecure: true\n" + trusted + "grpc://192.0.2.1:9090", plain: true,
			want: map[string]Outcome{"server TCP": OK, "server TLS": Warn}, text: "can be read on the way"},
		"none": {settings: "xdp: off", want: map[string]Outcome{"server": Warn}, text: "without a cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			m := healthy(t)
			m.settings(t, tc.settings+"\n")
			address := "127.0.0.1:1" // nobody
			if tc.serve != nil || tc.plain {
				address = listen(t, tc.serve).String()
			}
			now := time.Now
			if !tc.now.IsZero() {
				now = func() time.Time { return tc.now }
			}
			d := New(Config{SettingsPath: m.file, Timeout: 5 * time.Second}, Deps{
				Now:    now,
				Lookup: func(context.Context, string) ([]string, error) { return []string{"192.0.2.7"}, tc.lookup },
				Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, address)
				},
			})
			s, _ := d.settings()
			got, text := map[string]Outcome{}, ""
			for _, r := range d.server(context.Background(), s) {
				got[r.Check] = r.Outcome
				text += r.Detail + " " + r.Remedy + "\n"
			}
			if len(got) != len(tc.want) || !strings.Contains(text, tc.text) {
				t.Errorf("%v\n%s; want %v and %q", got, text, tc.want, tc.text)
			}
			for check, outcome := range tc.want {
				if got[check] != outcome {
					t.Errorf("%s is %q, want %q\n%s", check, got[check], outcome, text)
				}
			}
		})
	}
}

// A server that accepts and says nothing is given up on.
func TestSilentServer(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	m := healthy(t)
	m.settings(t, "api_key: "+testKey+"\nserver: grpcs://192.0.2.1:9090\n")
	d := New(Config{SettingsPath: m.file, Timeout: 20 * time.Millisecond}, Deps{
		Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil },
	})
	s, _ := d.settings()
	results := d.server(context.Background(), s)
	if last := results[len(results)-1]; last.Check != "server TLS" || last.Outcome != Fail {
		t.Errorf("%+v", last)
	}
}

func TestPlainDropsWhatIsKnown(t *testing.T) {
	err := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	if got := plain(err); got != "connection refused" {
		t.Error(got)
	}
}
