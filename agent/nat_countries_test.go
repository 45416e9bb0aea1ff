package agent_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// countries writes a database of them and has the agent use it.
func (r *router) countries(networks map[string]string) {
	r.t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "test", RecordSize: 24, IPVersion: 6, IncludeReservedNetworks: true})
	if err != nil {
		r.t.Fatal(err)
	}
	for text, code := range networks {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := tree.Insert(network, mmdbtype.Map{"country_code": mmdbtype.String(code)}); err != nil {
			r.t.Fatalf("%s: %v", text, err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(r.dir, "countries.mmdb")
	r.write(file+".new", out.String())
	if err := os.Rename(file+".new", file); err != nil {
		r.t.Fatal(err)
	}
	if line := "geoip: " + file + "\n"; !strings.Contains(r.read(r.settings), line) {
		r.write(r.settings, r.read(r.settings)+line)
	}
}

// frame is the address that a host's frames come from.
func (r *router) frame(host string) string {
	r.t.Helper()
	found := regexp.MustCompile(`link/ether (\S+)`).FindStringSubmatch(r.Exec(host, "ip", "-o", "link", "show"))
	if found == nil {
		r.t.Fatalf("%s has no Ethernet", host)
	}
	return found[1]
}

// from asks a URL from one of a host's addresses.
func from(address, url string) []string {
	return []string{"curl", "-sS", "-m", "3", "--interface", address, url}
}

// NAT rules that name countries and frames: the first packet of a flow decides, and
// nftables, which sees neither where packets leave, translates as was decided.
func TestNATByCountryAndFrame(t *testing.T) {
	const (
		german, french, nowhere = "198.51.100.1", "198.51.100.9", "203.0.113.1"
		german6, french6        = "2001:db8:de::1", "2001:db8:f::1"
	)
	r := newRouter(t)
	for _, host := range []string{"lan1", "lan2", "inet", "iot1"} {
		r.serve(host, ":8000")
	}
	for _, a := range []string{german + "/32", french + "/32", german6 + "/128", french6 + "/128"} {
		r.Exec("inet", "ip", "addr", "add", a, "dev", "lo", "nodad")
	}
	for _, a := range []string{german, french, nowhere} { // UDP answers from where it was asked
		r.echo("inet", a+":8000")
	}
	r.routed("203.0.113.50/32", "203.0.113.60/31", "2001:db8:aaaa::/64")
	europe := map[string]string{
		"198.51.100.0/29": "DE", "198.51.100.8/29": "FR", "192.0.2.0/26": "DE", "192.0.2.64/26": "FR", "192.0.2.128/26": "DE", "192.0.2.192/26": "FR",
		"2001:db8:de::/48": "DE", "2001:db8:f::/48": "FR", "2001:db8:de2::/48": "DE", "2001:db8:f2::/48": "FR",
	}
	r.countries(europe)
	r.rulesAndNAT(nil,
		`{"id":1,"name":"from home","nat_type":"dnat","protocol":"tcp+udp","source":"geo:DE","destination":"self","destination_port":"9000","translate_to":"10.77.1.10","translate_port":"8000","interface":"wan"}`,
		`{"id":2,"name":"from abroad","nat_type":"dnat","protocol":"tcp","source":"!geo:DE","destination":"self","destination_port":"9000","translate_to":"10.77.2.10","translate_port":"8000","interface":"wan"}`,
		`{"id":3,"name":"hers","nat_type":"dnat","protocol":"tcp","source":"mac:`+r.frame("lan2")+`","destination":"192.0.2.1","destination_port":"8000","translate_to":"10.77.3.10"}`,
		`{"id":4,"name":"host for some","nat_type":"1:1","source":"geo:DE","destination":"203.0.113.50","translate_to":"10.77.2.10","interface":"wan"}`,
		`{"id":5,"name":"to France","nat_type":"snat","source":"10.77.0.0/16","destination":"geo:FR","translate_to":"203.0.113.60","interface":"wan"}`,
		`{"id":6,"name":"his","nat_type":"snat","source":"mac:`+r.frame("lan1")+`","translate_to":"203.0.113.61"}`,
		`{"id":7,"name":"not his","nat_type":"netmap","source":"2001:db8:77:2::/64","translate_to":"2001:db8:aaaa::/64"}`,
		`{"id":8,"name":"to France, by IPv6","nat_type":"snat","source":"!mac:`+r.frame("lan2")+`","destination":"geo:FR","translate_to":"2001:db8:aaaa::5"}`,
		// Into the house: its destination is decided, and then its source.
		`{"id":9,"name":"inward","nat_type":"snat","source":"!geo:FR,geo:US","destination":"10.77.2.10","protocol":"tcp","translate_to":"10.77.2.1"}`)
	r.startPolicy()

	check := func(home, away, home6, away6 string) {
		t.Helper()
		for _, c := range []struct {
			host string
			cmd  []string
			want string
		}{
			{"inet", from(home, "http://203.0.113.2:9000/"), "lan1 hears " + home},
			{"inet", from(away, "http://203.0.113.2:9000/"), "lan2 hears " + away}, // France keeps its address
			{"inet", from(nowhere, "http://203.0.113.2:9000/"), "lan2 hears 10.77.2.1"},
			{"inet", from(home, "http://203.0.113.50:8000/"), "lan2 hears 10.77.2.1"},
			{"lan2", glanceAt("http://192.0.2.1:8000/"), "iot1 hears 10.77.2.10"},
			{"lan2", glanceAt("http://" + home + ":8000/"), "inet hears 203.0.113.50"},
			{"lan2", glanceAt("http://" + away + ":8000/"), "inet hears 203.0.113.60"},
			{"lan2", glanceAt("http://" + nowhere + ":8000/"), "inet hears 203.0.113.2"}, // the zone's masquerading
			{"lan1", glanceAt("http://" + away + ":8000/"), "inet hears 203.0.113.60"},
			{"lan1", glanceAt("http://" + home + ":8000/"), "inet hears 203.0.113.61"},
			{"lan1", glanceAt("http://" + nowhere + ":8000/"), "inet hears 203.0.113.61"},
			{"iot1", glanceAt("http://" + away + ":8000/"), "inet hears 203.0.113.60"},
			{"iot1", glanceAt("http://" + home + ":8000/"), "inet hears 203.0.113.2"},
			{"lan1", glanceAt("http://[" + away6 + "]:8000/"), "inet hears 2001:db8:aaaa::5"},
			{"lan1", glanceAt("http://[" + home6 + "]:8000/"), "inet hears 2001:db8:77:1::10"},
			{"lan2", glanceAt("http://[" + away6 + "]:8000/"), "inet hears 2001:db8:aaaa::10"},
		} {
			if got, err := r.TryExec(c.host, c.cmd...); err != nil || got != c.want {
				t.Errorf("%s %v: %q, %v, want %q", c.host, c.cmd, got, err, c.want)
			}
		}
		// The short way is learnt from what was told.
		r.quick(r.dialogue("lan1", away+":8000"), 100, "inet hears 203.0.113.60")
		r.quick(r.dialogue("lan1", nowhere+":8000"), 100, "inet hears 203.0.113.61")
		r.blocked("inet", from(away, "http://203.0.113.50:8000/")...)
		r.blocked("lan1", glance("http://192.0.2.1:8000/")...)
		r.passes("lan1", ping(away, "-s", "4000")...) // in fragments
	}
	check(german, french, german6, french6)
	r.clean()
	for _, id := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		if n := r.metric(`ngfw_nat_packets_total{rule_id="` + id + `"}`); n == 0 {
			t.Errorf("NAT rule %s has counted nothing", id)
		}
	}

	// The border moves; nothing else changes.
	for network, code := range europe {
		europe[network] = map[string]string{"DE": "FR", "FR": "DE"}[code]
	}
	r.countries(europe)
	r.reload()
	check(french, german, french6, german6)
	r.clean()
}

func glanceAt(url string) []string { return []string{"curl", "-sS", "-m", "3", url} }
