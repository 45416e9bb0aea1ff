package agent_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"ngfw.sh/dataplane/netfilter"
)

// TestConntrackIsLeftClean: flow after flow takes the fast path and ends, by FIN
// and by RST; no INVALID packet leaves the router, and nothing of them stays in
// conntrack. An hour of a home, ten new connections every three seconds, with
// NGFW_LONG; conntrack's timeouts for what has ended are seconds here, so that
// all of them end within the test.
func TestConntrackIsLeftClean(t *testing.T) {
	flows := 160
	if os.Getenv("NGFW_LONG") != "" {
		flows = 12000
	}
	eachForm(t, func(t *testing.T, r *router) {
		r.Exec("rtr", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_time_wait=2", "net.netfilter.nf_conntrack_tcp_timeout_close=2",
			"net.netfilter.nf_conntrack_tcp_timeout_last_ack=2", "net.netfilter.nf_conntrack_tcp_timeout_fin_wait=5", "net.netfilter.nf_conntrack_tcp_timeout_close_wait=5",
			"net.netfilter.nf_conntrack_udp_timeout=2", "net.netfilter.nf_conntrack_udp_timeout_stream=3")
		r.Exec("rtr", "nft", "add table inet audit; add chain inet audit left { type filter hook postrouting priority 300; }; add counter inet audit invalid; add rule inet audit left oifname != lo ct state invalid counter name invalid")
		leaks := r.leaks()
		fast, all, opened := r.fast(), r.metric("ngfw_packets_total"), r.metric("ngfw_flows_opened_total")

		// What is read in time ends by FIN, what is given up by RST.
		reset := flows / 8
		const batch = 400
		for first := 1; first <= flows-reset; first += batch {
			r.passes("lan1", "curl", "-sS", "-Z", "--parallel-max", "24", "-H", "Connection: close", "-o", os.DevNull, "--limit-rate", "2M",
				fmt.Sprintf("http://203.0.113.1/bytes/500000?flow=[%d-%d]", first, min(first+batch-1, flows-reset)))
		}
		for first := 1; first <= reset; first += batch {
			r.blocked("lan1", "sh", "-c", fmt.Sprintf("seq %d %d | xargs -P 24 -I{} curl -s -m 0.4 --limit-rate 500k -o /dev/null http://203.0.113.1/bytes/3000000?flow={}",
				first, min(first+batch-1, reset)))
		}
		r.passes("lan1", "iperf3", "-u", "-b", "1M", "-l", "500", "-P", "4", "-c", inet4, "-t", "1")

		fast, all, opened = r.fast()-fast, r.metric("ngfw_packets_total")-all, r.metric("ngfw_flows_opened_total")-opened
		if opened < float64(flows-reset) || fast < all/3 {
			t.Errorf("%v flows of %d; %v of %v packets took the fast path", opened, flows, fast, all)
		}
		most := 0
		r.eventually(func() error {
			left := len(r.connections(80)) + len(r.connections(5201))
			most = max(most, left)
			if left > 0 {
				return fmt.Errorf("%d closed flows are still in conntrack", left)
			}
			return nil
		})
		if n := leaks(); n > 0 {
			t.Errorf("%d packets left with a private address", n)
		}
		if n := r.counter("rtr", "inet audit invalid"); n > 0 {
			t.Errorf("%d INVALID packets left the router", n)
		}
		refused := map[string]uint64{}
		r.In("rtr", func() {
			drops, err := netfilter.Drops()
			if err != nil {
				t.Error(err)
			}
			for rule, n := range drops {
				refused[rule] += uint64(n)
			}
		})
		t.Logf("%v flows, %v of %v packets by the fast path; %s of conntrack's entries were left at the end of the load; the backstop has dropped %v",
			opened, fast, all, strconv.Itoa(most), refused)
	})
}
