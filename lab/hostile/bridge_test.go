package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// A bridge, which no driver has XDP for, routes like any interface. What it passes from
// port to port is none of the policy's, also where the kernel shows it to netfilter.
func TestBridge(t *testing.T) {
	for _, xdp := range []string{"auto", "generic"} {
		t.Run(xdp, func(t *testing.T) { testBridge(t, xdp) })
	}
}

func testBridge(t *testing.T, xdp string) {
	r := newRouter(t, strings.Replace(usual, `["lan1", "lan2"]`, `["lan1", "lan2", "br0"]`, 1), "xdp: "+xdp)
	r.TryExec(lab.RTR, "sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1") // if the kernel can
	for _, cmd := range []string{
		"link add br0 address 02:6e:67:66:01:01 type bridge mcast_snooping 0", "addr flush dev lan1", "link set lan1 master br0", "link set lan2 master br0",
		"addr add 10.77.1.1/24 dev br0", "link set br0 up", "neigh replace 10.77.1.10 lladdr 02:6e:67:66:01:10 dev br0",
	} {
		r.Exec(lab.RTR, append([]string{"ip"}, strings.Fields(cmd)...)...)
	}
	labtest.Eventually(t, 20*time.Second, func() error {
		bridge := false
		for _, p := range r.status().Programs {
			if bridge = bridge || p.Interface == "br0"; strings.HasPrefix(p.Interface, "lan") {
				return fmt.Errorf("programs on %s", p.Interface)
			}
		}
		if !bridge {
			return fmt.Errorf("programs on %+v", r.status().Programs)
		}
		return nil
	})
	// Ports lose frames while what they had is taken off.
	out := packet{src: lan1v4, dst: inetv4, proto: udp, sport: 4000, dport: 4001}
	labtest.Eventually(t, 20*time.Second, func() error {
		r.send(lab.LAN1, out)
		return r.comes(lab.INET, "udp 203.0.113.2:4000 > 203.0.113.1:4001")
	})
	r.send(lab.INET, packet{src: inetv4, dst: wanv4, proto: udp, sport: 4001, dport: 4000})
	if err := r.comes(lab.LAN1, "udp 203.0.113.1:4001 > 10.77.1.10:4000"); err != nil {
		t.Error(err)
	}
	frame := ethernet(t, lab.LAN1, packet{src: lan1v4, dst: lan2v4, proto: udp, sport: 4000, dport: 4001}.ip(t))
	copy(frame, "\x02\xff\xff\xff\xff\xff") // nobody's: to all ports
	labtest.Eventually(t, 20*time.Second, func() error {
		r.raw(lab.LAN1, frame)
		return r.comes(lab.LAN2, "udp 10.77.1.10:4000 > 10.77.2.10:4001")
	})
	equal(t, "malformed", r.status().Counters.Drops["malformed"], int64(0))
}

// comes waits a second for a packet at a host.
func (r *router) comes(host, want string) error {
	for until := time.Now().Add(time.Second); time.Now().Before(until); {
		if frame := r.taps[host].next(time.Until(until)); frame != nil && describe(frame) == want {
			return nil
		}
	}
	return fmt.Errorf("%s does not come to %s", want, host)
}
