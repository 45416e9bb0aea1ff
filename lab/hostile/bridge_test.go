package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// A bridge, which no driver has XDP for, routes like any interface.
func TestBridgeRoutes(t *testing.T) {
	r := newRouter(t, strings.Replace(usual, `["lan1", "lan2"]`, `["lan1", "lan2", "br0"]`, 1))
	// Without br_netfilter there is nothing to switch off.
	r.Exec(lab.RTR, "sh", "-c", "f=/proc/sys/net/bridge/bridge-nf-call-iptables; [ ! -e $f ] || echo 0 > $f")
	for _, cmd := range []string{
		"link add br0 address 02:6e:67:66:01:01 type bridge mcast_snooping 0", "addr flush dev lan1", "link set lan1 master br0", "link set lan2 master br0",
		"addr add 10.77.1.1/24 dev br0", "link set br0 up", "neigh replace 10.77.1.10 lladdr 02:6e:67:66:01:10 dev br0",
	} {
		r.Exec(lab.RTR, append([]string{"ip"}, strings.Fields(cmd)...)...)
	}
	labtest.Eventually(t, 20*time.Second, func() error {
		for _, p := range r.status().Programs {
			if p.Interface == "br0" {
				return nil
			}
		}
		return fmt.Errorf("programs on %+v", r.status().Programs)
	})
	out := packet{src: lan1v4, dst: inetv4, proto: udp, sport: 4000, dport: 4001}
	r.send(lab.LAN1, out)
	equal(t, "out", r.arrivals(lab.LAN1, lab.INET, false), []string{"udp 203.0.113.2:4000 > 203.0.113.1:4001"})
	r.send(lab.INET, packet{src: inetv4, dst: wanv4, proto: udp, sport: 4001, dport: 4000})
	equal(t, "in", r.arrivals(lab.INET, lab.LAN1, false), []string{"udp 203.0.113.1:4001 > 10.77.1.10:4000"})
	equal(t, "malformed", r.status().Counters.Drops["malformed"], int64(0))
}
