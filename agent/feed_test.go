package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// publisher is a server of lists in inet, with an authority of its own.
type publisher struct {
	*httptest.Server
	asked, confirmed atomic.Int32
}

func (r *router) publish(text *atomic.Pointer[string]) (p *publisher, caFile string) {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(inet4)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	caFile = filepath.Join(r.dir, "feed.pem")
	r.write(caFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	p = &publisher{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		p.asked.Add(1)
		tag := fmt.Sprintf("%q", *text.Load())
		if q.Header.Get("If-None-Match") == tag {
			p.confirmed.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		w.Write([]byte(*text.Load()))
	}))
	r.In("inet", func() {
		p.Listener.Close()
		if p.Listener, err = net.Listen("tcp4", net.JoinHostPort(inet4, "0")); err != nil {
			r.t.Fatal(err)
		}
	})
	p.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	p.StartTLS()
	r.t.Cleanup(p.Close)
	return p, caFile
}

// TestFetchedDropList: a feed is fetched over verified TLS and enforced on
// packets, and it outlives its server, the agent, and nonsense.
func TestFetchedDropList(t *testing.T) {
	r := newRouter(t)
	var text atomic.Pointer[string]
	says := func(s string) { text.Store(&s) }
	says("; a feed\n2001:db8:ff::/48 ; SBL1\n10.0.0.0/8 ; SBL2\n203.0.113.2/32 ; the router's own\n198.51.100.0/24\n")
	feed, ca := r.publish(&text)
	things := filepath.Join(r.dir, "things")
	r.write(things, inet4+"\n")
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+fmt.Sprintf(`
drop_lists:
  - {name: feed, url: %[1]q, ca_file: %[2]s}
  - {name: unproven, url: %[1]q}
  - {name: self, url: "https://localhost:1/"}
  - {name: things, file: %[3]s, zones: [IOT]}
drop_allow: [198.51.100.7]
`, feed.URL, ca, things))
	r.rules()
	r.startPolicy()
	r.eventually(func() error {
		for _, l := range r.mustStatus().DropLists {
			if l.Name == "feed" && l.Prefixes == 3 && l.Confirmed > 0 && len(l.SHA256) == 64 && strings.Contains(l.Note, "3 of its prefixes (first 2001:db8:ff::/48)") {
				return nil
			}
		}
		return fmt.Errorf("%+v", r.mustStatus().DropLists)
	})
	check := func() {
		t.Helper()
		r.blocked("lan1", ping(inet6)...)
		r.passes("lan1", curl(web4)...) // behind the router's own address, which is listed
		r.passes("lan1", ping("10.77.2.10")...)
		r.blocked("iot1", ping(inet4)...) // bound to its zone
	}
	check()
	r.eventually(func() error {
		d := strings.Join(r.mustStatus().Degraded, "\n")
		if !strings.Contains(d, "drop_list:unproven: cannot be fetched") || !strings.Contains(d, "certificate") || !strings.Contains(d, "drop_list:self: cannot be fetched") ||
			!strings.Contains(d, "this router itself") || strings.Contains(d, "drop_list:feed") {
			return fmt.Errorf("degraded: %s", d)
		}
		return nil
	})
	if n := r.metric(`ngfw_drop_list_packets_total{list="feed"}`); n < 1 {
		t.Errorf("%v packets counted", n)
	}
	if age := r.metric(`ngfw_drop_list_age_seconds{list="feed"}`); age <= 0 || age > 300 {
		t.Errorf("its age is %v s", age)
	}
	if failed := r.metric(`ngfw_drop_list_failed{list="unproven"}`); failed != 1 {
		t.Errorf("failed is %v", failed)
	}

	r.kill()
	feed.Close()
	r.startPolicy()
	check()
}

// TestGuardsOfZones: a zone's own guard bounds its hosts, in IPv4 and IPv6, and
// the others have theirs.
func TestGuardsOfZones(t *testing.T) {
	r := newRouter(t)
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+"guards: {syns_per_interface: {per_second: 100000}, zones: {IOT: {new_flows_per_source: {per_second: 5, burst: 50}, syns_per_interface: {per_second: 3, burst: 20}}}}\n")
	r.rules()
	r.startPolicy()
	for _, to := range []string{inet4, inet6} {
		for _, from := range []string{"lan2", "iot1"} {
			r.In(from, func() {
				for port := range 200 {
					c, err := net.Dial("udp", net.JoinHostPort(to, fmt.Sprint(1000+port)))
					if err == nil {
						_, err = c.Write([]byte("x"))
						c.Close()
					}
					if err != nil && !strings.Contains(err.Error(), "refused") {
						t.Fatal(err)
					}
				}
			})
		}
	}
	dropped := r.metric(`ngfw_guard_drops_total{guard="source",zone="IOT"}`)
	if dropped < 150 || dropped > 350 {
		t.Errorf("%v datagrams of 400 dropped", dropped)
	}
	if n := r.metric(`ngfw_guard_drops_total{guard="source",zone=""}`); n != 0 {
		t.Errorf("%v packets of other zones dropped", n)
	}
	// Whom the source guard has had enough of, the guard of connections counts first.
	for range 40 {
		r.In("iot1", func() {
			d := net.Dialer{Timeout: time.Millisecond}
			if c, err := d.Dial("tcp", net.JoinHostPort(inet4, "80")); err == nil {
				c.Close()
			}
		})
	}
	if n := r.metric(`ngfw_guard_drops_total{guard="syn",zone="IOT"}`); n < 1 {
		t.Errorf("%v connections refused", n)
	}
	r.passes("lan1", curl(web4)...)
	r.passes("lan1", curl(web6)...)
	said := map[string]int64{}
	for _, g := range r.mustStatus().Guards {
		said[g.Guard+" "+g.Zone] = g.Packets
	}
	if len(said) != 3 || said["source IOT"] < int64(dropped) {
		t.Errorf("status: %v", said)
	}
}
