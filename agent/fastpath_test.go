package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ti-mo/conntrack"

	"ngfw.sh/dataplane/netfilter"
)

// fastRouter is a router whose fast path has this form: "auto" is TC in a lab.
func fastRouter(t *testing.T, form string) *router {
	t.Helper()
	r := newRouter(t)
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+"fast_path: "+form+"\n")
	return r
}

// eachForm runs a test with both forms of the fast path.
func eachForm(t *testing.T, test func(*testing.T, *router)) {
	for _, form := range []string{"auto", "xdp"} {
		t.Run(form, func(t *testing.T) {
			r := fastRouter(t, form)
			r.rules(`{"id":3,"name":"out","zone_from":"LAN","zone_to":"WAN","action":"accept"}`)
			r.startPolicy()
			want := map[string]string{"auto": "tc", "xdp": "xdp"}[form]
			for _, p := range r.mustStatus().Programs {
				if p.FastPath != want {
					t.Fatalf("%s: fast path %q, want %q; degraded: %q", p.Interface, p.FastPath, want, r.mustStatus().Degraded)
				}
			}
			test(t, r)
		})
	}
}

func (r *router) fast() float64 { r.t.Helper(); return r.metric("ngfw_fastpath_packets_total") }

// sender switches the hosts' transmit checksum offload.
func (r *router) sender(offload string) {
	r.t.Helper()
	for _, host := range []string{"lan1", "inet"} {
		r.Exec(host, "ethtool", "-K", "eth0", "tx", offload, "tso", offload)
	}
}

// noneInvalid fails if conntrack has called a packet invalid, or one passed
// unjudged.
func (r *router) noneInvalid() {
	r.t.Helper()
	r.In("rtr", func() {
		drops, err := netfilter.Drops()
		if err != nil {
			r.t.Error(err)
		}
		for rule, n := range drops {
			if n > 0 {
				r.t.Errorf("the backstop dropped %d packets by %s", n, rule)
			}
		}
	})
}

// connections of the router to a port, as conntrack knows them.
func (r *router) connections(port uint16) (list []conntrack.Flow) {
	r.t.Helper()
	r.In("rtr", func() {
		c, err := conntrack.Dial(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		defer c.Close()
		all, err := c.Dump(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, f := range all {
			if f.TupleOrig.Proto.DestinationPort == port {
				list = append(list, f)
			}
		}
	})
	return list
}

// leaks counts packets that leave with a private address, while the test runs.
func (r *router) leaks() (count func() int) {
	r.t.Helper()
	r.Exec("inet", "nft", "add table ip leak; add chain ip leak in { type filter hook prerouting priority -400; }; add counter ip leak private; add rule ip leak in ip saddr 10.0.0.0/8 counter name private")
	return func() int { return r.counter("inet", "ip leak private") }
}

// connection answers how to load so many bytes, each time through the same
// connection: how soon its way is learnt depends on how busy the machine is.
func (r *router) connection(host, url string) (get func(bytes int) []byte, end func()) {
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(_ context.Context, network, address string) (c net.Conn, err error) {
			err = r.Lab.Lab.In(host, func() error {
				c, err = net.DialTimeout(network, address, 10*time.Second)
				return err
			})
			return c, err
		},
	}}
	get = func(bytes int) []byte {
		r.t.Helper()
		answer, err := client.Get(fmt.Sprintf("%s/bytes/%d", url, bytes))
		if err != nil {
			r.t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		return body
	}
	return get, client.CloseIdleConnections
}

func TestFastPathCarriesTCP(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		leaks := r.leaks()
		const size = 80_000_000
		for _, url := range []string{"http://203.0.113.1", "http://[2001:db8:ff::1]"} {
			get, end := r.connection("lan1", url)
			r.eventually(func() error {
				before := r.fast()
				get(1_000_000)
				if n := r.fast() - before; n < 500 {
					return fmt.Errorf("only %v packets went the short way", n)
				}
				return nil
			})
			before, judged, hits := r.fast(), r.metric("ngfw_packets_total"), r.metric(`ngfw_rule_packets_total{rule_id="3"}`)
			got := get(size)
			end()
			want := []byte(r.Exec("inet", "curl", "-sS", "http://203.0.113.1/bytes/4096"))
			if len(got) != size || !slices.Equal(got[:4096], want) {
				t.Errorf("%s: %d bytes came, want %d", url, len(got), size)
			}
			fast, all := r.fast()-before, r.metric("ngfw_packets_total")-judged
			if fast < 0.9*all || all < size/1448 {
				t.Errorf("%s: %v of %v packets went the short way", url, fast, all)
			}
			// All that was judged is the download's, but for neighbour discovery.
			if hits = r.metric(`ngfw_rule_packets_total{rule_id="3"}`) - hits; hits < all-20 || hits > all {
				t.Errorf("%s: %v hits, %v packets", url, hits, all)
			}
		}
		r.noneInvalid()
		if n := leaks(); n > 0 {
			t.Errorf("%d packets left with a private address", n)
		}
		// Closed connections are on their way out of conntrack.
		for _, f := range r.connections(80) {
			if f.Timeout > 120 {
				t.Errorf("a closed connection stays for %d s: %+v", f.Timeout, f)
			}
		}
	})
}

// The one form that has to bear checksums yet to be filled in.
func TestFastPathBearsSenderOffload(t *testing.T) {
	r := fastRouter(t, "auto")
	r.rules()
	r.startPolicy()
	r.sender("on")
	for _, url := range []string{"http://203.0.113.1", "http://[2001:db8:ff::1]"} {
		get, end := r.connection("lan1", url)
		r.eventually(func() error {
			before := r.fast()
			get(20_000_000)
			if n := r.fast() - before; n < 12_000 { // of 13,812, not counting answers
				return fmt.Errorf("%s: only %v packets went the short way", url, n)
			}
			return nil
		})
		end()
	}
	r.passes("lan1", "iperf3", "-c", inet4, "-t", "1")
	r.noneInvalid()
}

func TestFastPathEndsWithReset(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		// Killed in the middle of a download: unread data make the kernel reset.
		end, _ := r.endless("lan1")
		r.faster(0, 500)
		end()
		r.eventually(func() error {
			for _, f := range r.connections(80) {
				if f.Timeout > 120 {
					return fmt.Errorf("a reset connection stays for %d s: %+v", f.Timeout, f.ProtoInfo.TCP)
				}
			}
			return nil
		})
		r.noneInvalid()
	})
}

// datagrams counts the UDP of iperf3 that comes to a host, from now on.
func (r *router) datagrams(host string) (count func() int) {
	r.t.Helper()
	r.Exec(host, "nft", "add table ip datagrams; add chain ip datagrams in { type filter hook prerouting priority -400; }; add counter ip datagrams come; add rule ip datagrams in meta l4proto udp th sport 5201 counter name come; add rule ip datagrams in meta l4proto udp th dport 5201 counter name come")
	return func() int { return r.counter(host, "ip datagrams come") }
}

// counter reads a named counter of nftables.
func (r *router) counter(host, name string) (packets int) {
	r.t.Helper()
	out := r.Exec(host, append([]string{"nft", "list", "counter"}, strings.Fields(name)...)...)
	if _, err := fmt.Sscanf(out[strings.Index(out, "packets"):], "packets %d", &packets); err != nil {
		r.t.Fatalf("%v in %s", err, out)
	}
	return packets
}

// UDP both ways, as fast as it comes: nothing is lost or counted wrongly.
func TestFastPathCarriesUDP(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		leaks := r.leaks()
		arrived := map[string]func() int{"": r.datagrams("inet"), "--reverse": r.datagrams("lan1")}
		for _, reverse := range []string{"", "--reverse"} {
			came := arrived[reverse]()
			before, hits := r.fast(), r.metric(`ngfw_rule_packets_total{rule_id="3"}`)
			args := []string{"iperf3", "-c", inet4, "-u", "-b", "20M", "-l", "500", "-t", "3", "--json"}
			if reverse != "" {
				args = append(args, reverse)
			}
			var result struct {
				End struct {
					Sum struct{ Packets int }
				}
			}
			if err := json.Unmarshal([]byte(r.Exec("lan1", args...)), &result); err != nil {
				t.Fatal(err)
			}
			sent := result.End.Sum.Packets
			came = arrived[reverse]() - came // at the host; the program may be too slow
			fast := r.fast() - before
			hits = r.metric(`ngfw_rule_packets_total{rule_id="3"}`) - hits
			if sent < 10000 || came < sent-10 {
				t.Errorf("%s: %d of %d packets came", reverse, came, sent)
			}
			// In reverse nothing goes out but a greeting, so the flow is never
			// renewed from there, and yet all that comes in is fast.
			if fast < 0.9*float64(came) {
				t.Errorf("%s: %v of %d packets went the short way", reverse, fast, came)
			}
			// And the control connection's, some dozens.
			if hits < float64(came) || hits > float64(came+200) {
				t.Errorf("%s: %v hits, %d packets", reverse, hits, came)
			}
		}
		r.noneInvalid()
		if n := leaks(); n > 0 {
			t.Errorf("%d packets left with a private address", n)
		}
	})
}

// endless is a download that goes on until it is ended.
func (r *router) endless(host string, more ...string) (end func(), wait func() error) {
	r.t.Helper()
	cmd := exec.Command("curl", append([]string{"-sS", "--limit-rate", "4M", "-o", os.DevNull, "http://203.0.113.1/bytes/2000000000"}, more...)...)
	wait, err := r.Lab.Lab.Start(host, cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cmd.Process.Kill() })
	return func() { cmd.Process.Kill(); wait() }, wait
}

// faster waits until so many packets more than before went the short way.
func (r *router) faster(before float64, packets float64) {
	r.t.Helper()
	r.eventually(func() error {
		if n := r.fast() - before; n < packets {
			return fmt.Errorf("only %v packets went the short way", n)
		}
		return nil
	})
}

// arrivals counts UDP to iperf3 in inet by source address, from now on.
func (r *router) arrivals(sources ...string) (count func(source string) int) {
	r.t.Helper()
	r.Exec("inet", "nft", "add table ip seen; add chain ip seen in { type filter hook prerouting priority -400; }")
	name := func(source string) string { return "s" + strings.ReplaceAll(source, ".", "_") }
	for _, s := range sources {
		r.Exec("inet", "nft", fmt.Sprintf("add counter ip seen %s; add rule ip seen in udp dport 5201 ip saddr %s counter name %s", name(s), s, name(s)))
	}
	return func(source string) int { return r.counter("inet", "ip seen "+name(source)) }
}

// A next hop that has another card is followed; frames to the old one would be
// lost for ever.
func TestFastPathFollowsItsNeighbour(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		end, _ := r.endless("lan1")
		defer end()
		r.faster(0, 500)
		const card = "02:00:5e:00:53:77"
		r.Exec("inet", "ip", "link", "set", "eth0", "address", card)
		r.Exec("rtr", "ip", "neigh", "replace", inet4, "lladdr", card, "dev", "wan")
		r.faster(r.fast(), 3000)
	})
}

// So it is without an agent, which would tell of it.
func TestFastPathFollowsItsNeighbourAlone(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		r.Start("lan1", exec.Command("iperf3", "-c", inet4, "-u", "-b", "5M", "-l", "500", "-t", "60"))
		r.faster(0, 500)
		count := r.datagrams("inet")
		r.kill()
		const card = "02:00:5e:00:53:77"
		r.Exec("inet", "ip", "link", "set", "eth0", "address", card)
		r.Exec("rtr", "ip", "neigh", "replace", inet4, "lladdr", card, "dev", "wan")
		before := count()
		r.eventually(func() error {
			if n := count() - before; n < 2000 {
				return fmt.Errorf("only %d packets came to the other card", n)
			}
			return nil
		})
	})
}

// XDP would send past the queue that shapes a port.
func TestFastPathKeepsToItsQueue(t *testing.T) {
	r := fastRouter(t, "xdp")
	r.rules()
	r.startPolicy()
	r.Exec("rtr", "tc", "qdisc", "add", "dev", "lan1", "root", "tbf", "rate", "20mbit", "burst", "32kb", "latency", "50ms")
	began := time.Now()
	r.passes("lan1", "curl", "-sS", "-m", "20", "-o", os.DevNull, "http://203.0.113.1/bytes/5000000")
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("5 MB at 20 Mbit/s took %v", took)
	}
	if n := r.fast(); n < 3000 {
		t.Errorf("%v packets went the short way, by TC", n)
	}
}

// The WAN address goes, and nothing leaves under it any more: what was learnt while
// the kernel still forgot its translations ends with the last of the changes, a
// second later.
func TestFastPathLeavesTheAddress(t *testing.T) {
	const before, after = "203.0.113.2", "203.0.113.9"
	eachForm(t, func(t *testing.T, r *router) {
		stream := exec.Command("iperf3", "-c", inet4, "-u", "-b", "5M", "-l", "500", "-t", "60")
		r.Start("lan1", stream)
		r.faster(0, 500)
		count := r.arrivals(before, after, "203.0.113.10")
		r.Exec("rtr", "ip", "addr", "add", after+"/32", "dev", "wan")
		r.Exec("rtr", "ip", "addr", "add", "203.0.113.10/24", "dev", "wan") // keeps the route
		r.Exec("rtr", "ip", "addr", "del", before+"/24", "dev", "wan")
		renewed := func() int { return count(after) + count("203.0.113.10") }
		const patience = 8000 // packets: at 1,250 a second longer than any way lasts unrenewed
		for start := renewed(); ; {
			old, begun := count(before), renewed()
			r.eventually(func() error {
				if n := renewed() - begun; n < 500 {
					return fmt.Errorf("%d packets left under the new address", n)
				}
				return nil
			})
			late := count(before) - old
			if late == 0 {
				return
			}
			if renewed()-start > patience {
				t.Fatalf("%d packets still left under the address that is gone, beside %d under the new one", late, renewed()-begun)
			}
		}
	})
}

// A changed policy ends a fast flow at once, and leaves the other one fast.
func TestFastPathObeysTheNextPolicy(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		end, _ := r.endless("lan1")
		defer end()
		_, cut := r.endless("lan2", "--speed-limit", "1000", "--speed-time", "3")
		r.eventually(func() error {
			if n := len(r.connections(80)); n < 2 {
				return fmt.Errorf("%d downloads", n)
			}
			return nil
		})
		r.faster(r.fast(), 2000)
		r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
			`{"id":3,"name":"out","zone_from":"LAN","zone_to":"WAN","action":"accept"}`)
		r.reload()
		fast := r.fast()
		if err := cut(); err == nil {
			t.Error("a flow that the new policy forbids went on")
		}
		r.faster(fast, 2000)
		if r.metric(`ngfw_rule_packets_total{rule_id="7"}`) == 0 {
			t.Error("the rule that cut it has no hits")
		}
	})
}

// Hundreds of connections, each on the fast path and closed: conntrack has
// called none of their packets invalid, and holds none of them for long.
func TestConntrackAudit(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		leaks := r.leaks()
		const connections = 300
		before := r.fast()
		r.passes("lan1", "curl", "-sS", "-m", "25", "-Z", "--parallel-max", "20", "--no-keepalive", "-H", "Connection: close",
			"-o", os.DevNull, fmt.Sprintf("http://203.0.113.1/bytes/150000?[1-%d]", connections))
		if n := r.fast() - before; n < 10*connections {
			t.Errorf("%v packets went the short way", n)
		}
		known := r.connections(80)
		if len(known) < connections {
			t.Errorf("conntrack knows %d connections, want %d", len(known), connections)
		}
		for _, f := range known {
			if f.Timeout > 120 {
				t.Errorf("a closed connection stays for %d s: %+v", f.Timeout, f.ProtoInfo.TCP)
			}
		}
		r.noneInvalid()
		if n := leaks(); n > 0 {
			t.Errorf("%d packets left with a private address", n)
		}
	})
}
