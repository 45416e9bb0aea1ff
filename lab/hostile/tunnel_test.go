package hostile

import (
	"strings"
	"testing"

	"ngfw.sh/lab"
)

// What comes out of a tunnel is not judged by what carried it: a tunnel's interface
// that comes while there is no agent is as closed as any.
func TestTunnelsAreClosedWithoutAgent(t *testing.T) {
	r := newRouter(t, strings.Replace(usual, `"rules": [`,
		`"rules": [{"id": 3, "name": "the tunnel's other end", "zone_from": "WAN", "zone_to": "SELF", "source": "203.0.113.1", "action": "accept"},`, 1))
	r.agent.Process.Kill()
	r.Exec(lab.RTR, "nft", "add table inet seen; add chain inet seen in { type filter hook input priority 100; }; add counter inet seen inner; add counter inet seen outer; "+
		"add rule inet seen in iifname tun9 counter name inner; add rule inet seen in udp dport 4789 counter name outer")
	r.Exec(lab.RTR, "ip", "link", "add", "tun9", "address", "02:00:00:00:99:01", "type", "vxlan", "id", "5", "local", wanv4, "remote", inetv4, "dstport", "4789")
	r.Exec(lab.RTR, "ip", "addr", "add", "10.99.0.1/24", "dev", "tun9")
	r.Exec(lab.RTR, "ip", "link", "set", "tun9", "up")
	inner := ethernet(t, lab.LAN1, packet{src: "10.99.0.2", dst: "10.99.0.1", proto: udp, sport: 1, dport: 2}.ip(t))
	copy(inner, "\x02\x00\x00\x00\x99\x01")
	outer := packet{src: inetv4, dst: wanv4, proto: udp, sport: 4790, dport: 4789, payload: "\x08\x00\x00\x00\x00\x00\x05\x00" + string(inner)} // RFC 7348 5
	r.send(lab.INET, outer, outer)
	r.arrivals(lab.INET, lab.LAN1, false)
	counted := func(name string) string {
		out := r.Exec(lab.RTR, "nft", "list", "counter", "inet", "seen", name)
		_, out, _ = strings.Cut(out, "packets ")
		n, _, _ := strings.Cut(out, " ")
		return n
	}
	equal(t, "carriers", counted("outer"), "2")
	equal(t, "carried", counted("inner"), "0")
}
