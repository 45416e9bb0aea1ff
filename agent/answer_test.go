package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// capture runs tcpdump at a host until stop, which returns what it saw.
func (r *router) capture(host, filter string) (stop func(want string) string) {
	r.t.Helper()
	cmd := exec.Command("tcpdump", "-nnvi", "eth0", "--immediate-mode", "-l", filter)
	said, out := &lockedBuffer{}, &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, said
	r.Start(host, cmd)
	r.eventually(func() error {
		if !strings.Contains(said.String(), "listening") {
			return errors.New("tcpdump does not listen yet")
		}
		return nil
	})
	return func(want string) string {
		r.t.Helper()
		r.eventually(func() error {
			if !strings.Contains(out.String(), want) {
				return fmt.Errorf("%s saw nothing of %q:\n%s", host, want, out)
			}
			return nil
		})
		return out.String()
	}
}

func TestRejectedPacketsAreAnswered(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":9,"name":"told so","zone_from":"IOT","zone_to":"WAN","protocol":"tcp+udp","port":"80","action":"reject"}`,
		`{"id":10,"name":"nor the router","zone_from":"IOT","zone_to":"SELF","protocol":"tcp+udp","port":"80","action":"reject"}`)
	r.startPolicy()
	for name, tc := range map[string]struct{ network, address, filter, want string }{
		"TCP":                       {"tcp4", "203.0.113.1:80", "tcp", "Flags [R.]"},
		"TCP, IPv6":                 {"tcp6", "[2001:db8:ff::1]:80", "ip6 and tcp", "Flags [R.]"},
		"UDP":                       {"udp4", "203.0.113.1:80", "icmp", "host 203.0.113.1 unreachable - admin prohibited"},
		"UDP, IPv6":                 {"udp6", "[2001:db8:ff::1]:80", "icmp6 and ip6[40] == 1", "unreachable prohibited 2001:db8:ff::1"},
		"TCP to the router":         {"tcp4", "10.77.3.1:80", "tcp", "Flags [R.]"},
		"UDP to the router":         {"udp4", "10.77.3.1:80", "icmp", "host 10.77.3.1 unreachable - admin prohibited"},
		"UDP to the router by IPv6": {"udp6", "[2001:db8:77:3::1]:80", "icmp6 and ip6[40] == 1", "unreachable prohibited 2001:db8:77:3::1"},
	} {
		seen := r.capture("iot1", tc.filter)
		r.In("iot1", func() {
			c, err := net.DialTimeout(tc.network, tc.address, 2*time.Second)
			if err == nil {
				_, _ = c.Write([]byte("x")) // UDP's answer is seen by tcpdump
				defer c.Close()
			}
			if tcp := strings.HasPrefix(tc.network, "tcp"); tcp && !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("%s: %v, want a refused connection", name, err)
			}
		})
		seen(tc.want)
	}
}

func TestMasqueradeIsForIPv4AndItsZoneAlone(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	outside, inside := r.capture("inet", "tcp[tcpflags] & tcp-syn != 0 or ip6 and tcp"), r.capture("lan2", "icmp")
	r.passes("lan1", curl(web4)...)
	r.passes("lan1", curl(web6)...)
	r.passes("lan1", ping("10.77.2.10")...)
	seen := outside("2001:db8:77:1::10.")
	if !strings.Contains(seen, "203.0.113.2.") || strings.Contains(seen, "10.77.1.10.") {
		t.Errorf("IPv4 did not leave by the router's address:\n%s", seen)
	}
	inside("10.77.1.10 > 10.77.2.10")
}

func TestMSSIsClamped(t *testing.T) {
	r := newRouter(t)
	r.write(r.policy, `{"zones":[{"id":1,"name":"WAN","interfaces":["wan"],"masquerade":true,"mss_clamping":true},{"id":2,"name":"LAN","interfaces":["lan1","lan2"]}],
"rules":[],"policies":[{"from":"LAN","to":"any","action":"accept"}]}`)
	r.Exec("rtr", "ip", "link", "set", "wan", "mtu", "1400")
	r.startPolicy()
	seen := r.capture("inet", "tcp[tcpflags] & tcp-syn != 0 or ip6 and tcp")
	r.passes("lan1", curl(web4)...)
	seen("mss 1360")
	r.passes("lan1", curl(web6)...)
	seen("mss 1340")
	// Never upwards, and nowhere else.
	r.Exec("lan1", "ip", "link", "set", "eth0", "mtu", "1300")
	r.passes("lan1", curl(web4)...)
	seen("mss 1260")
	inside := r.capture("lan1", "tcp[tcpflags] & tcp-syn != 0")
	r.In("lan1", func() {
		l, err := net.Listen("tcp4", "10.77.1.10:7777")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	})
	r.In("lan2", func() {
		c, err := net.DialTimeout("tcp4", "10.77.1.10:7777", 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	inside("mss 1460")
}

// The ports of a connection that ended open nothing in the other direction,
// although conntrack still knows it.
func TestEndedConnectionOpensNothing(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	const client, server = "[2001:db8:77:1::10]:45000", "[2001:db8:ff::1]:8099"
	reuse := func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }); cerr != nil {
			return cerr
		}
		return err
	}
	dial := func(host, from, to string) (c net.Conn, err error) {
		local, perr := net.ResolveTCPAddr("tcp6", from)
		if perr != nil {
			t.Fatal(perr)
		}
		r.In(host, func() {
			c, err = (&net.Dialer{LocalAddr: local, Control: reuse, Timeout: 2 * time.Second}).Dial("tcp6", to)
		})
		return c, err
	}
	listen := func(host, at string) (l net.Listener) {
		r.In(host, func() {
			var err error
			if l, err = (&net.ListenConfig{Control: reuse}).Listen(context.Background(), "tcp6", at); err != nil {
				t.Fatal(err)
			}
		})
		return l
	}
	l := listen("inet", server)
	c, err := dial("lan1", client, server)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c.Close() // first: its end waits in TIME_WAIT, the server's is free
	buffer := make([]byte, 1)
	if _, err := peer.Read(buffer); err == nil {
		t.Fatal("data came")
	}
	peer.Close()
	// Our record of the flow is gone, conntrack's is not.
	r.eventually(func() error {
		if n := r.metric("ngfw_flows"); n > 0 {
			return fmt.Errorf("%v flows", n)
		}
		return nil
	})
	if out := r.Exec("rtr", "conntrack", "-L", "-f", "ipv6"); !strings.Contains(out, "TIME_WAIT") {
		t.Skipf("SKIPPED: conntrack has forgotten the connection:\n%s", out)
	}

	inside := listen("lan1", client)
	defer inside.Close()
	if c, err := dial("inet", server, client); err == nil {
		c.Close()
		t.Error("WAN opened a connection to LAN")
	}
}

// A router on a stick: zones are VLANs of one port. Tags are in the frames, or
// beside them where the device takes them off and puts them on (offload).
func TestZonesOfVLANs(t *testing.T) {
	for _, offload := range []string{"on", "off"} {
		t.Run("offload "+offload, func(t *testing.T) { zonesOfVLANs(t, offload) })
	}
}

func zonesOfVLANs(t *testing.T, offload string) {
	r := newRouter(t)
	if out, err := r.TryExec("rtr", "ip", "link", "add", "link", "lan1", "name", "vlan6", "type", "vlan", "id", "6"); err != nil {
		t.Skipf("SKIPPED: this kernel has no VLAN interfaces (CONFIG_VLAN_8021Q): %v %s", err, out)
	}
	for host, port := range map[string]string{"rtr": "lan1", "lan1": "eth0"} {
		r.Exec(host, "ethtool", "-K", port, "txvlan", offload, "rxvlan", offload)
	}
	vlan := func(host, parent, name, id, address string) {
		for _, args := range []string{"link add link " + parent + " name " + name + " type vlan id " + id, "addr add " + address + " dev " + name, "link set " + name + " up"} {
			r.Exec(host, append([]string{"ip"}, strings.Fields(args)...)...)
		}
	}
	vlan("rtr", "lan1", "vlan7", "7", "10.77.7.1/24")
	vlan("rtr", "lan1", "vlan8", "8", "10.77.8.1/24")
	vlan("lan1", "eth0", "vlan7", "7", "10.77.7.10/24")
	vlan("lan1", "eth0", "vlan8", "8", "10.77.8.10/24")
	r.write(r.policy, `{"zones":[{"id":1,"name":"WAN","interfaces":["wan"],"masquerade":true},{"id":2,"name":"LAN","interfaces":["lan1"]},
{"id":3,"name":"SEVEN","interfaces":["vlan7"]},{"id":4,"name":"EIGHT","interfaces":["vlan8"]}],
"rules":[{"id":5,"name":"web","zone_from":"SEVEN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}],
"policies":[{"from":"SEVEN","to":"SELF","action":"accept"},{"from":"LAN","to":"SELF","action":"accept"},{"from":"SELF","to":"any","action":"accept"}]}`)
	r.startPolicy()
	told := func(what string, vlan uint16, steps ...string) func(traced) bool {
		return func(p traced) bool { return p.Packet.VLAN == vlan && p.Action == what && p.has(steps...) == nil }
	}
	seen := r.trace("--protocol", "icmp", "--host", "10.77.0.0/16", "--duration", "10m")
	r.passes("lan1", ping("10.77.7.1", "-I", "10.77.7.10")...)
	if p := seen.await("a packet of VLAN 7", told("accept", 7, "tc_ingress/zone_in=pass")); p.Packet.In != "vlan7" {
		t.Errorf("%+v", p)
	}
	r.passes("lan1", ping("10.77.1.1", "-I", "10.77.1.10")...) // untagged, the port's own zone
	r.blocked("lan1", ping("10.77.8.1", "-I", "10.77.8.10")...)
	if p := seen.await("a packet of VLAN 8", told("drop", 8)); p.Packet.In != "vlan8" {
		t.Errorf("%+v", p)
	}
	// Of a VLAN that the router does not have, where XDP sees the tag.
	vlan("lan1", "eth0", "vlan9", "9", "10.77.9.10/24")
	cable, _ := lab.SegmentOf(lab.LAN1)
	r.Exec("lan1", "ip", "neigh", "replace", "10.77.9.1", "lladdr", cable.RouterMAC.String(), "dev", "vlan9")
	r.blocked("lan1", ping("10.77.9.1", "-I", "10.77.9.10")...)
	if offload == "off" {
		if p := seen.await("a packet of VLAN 9", told("accept", 9, "xdp/early=pass")); p.Packet.In != "lan1" || !strings.Contains(p.Note, "VLAN 9 has no interface") {
			t.Errorf("%+v", p)
		}
	}
	if seen.cmd.Process.Signal(os.Interrupt) != nil {
		t.Error("cannot interrupt the trace")
	}
	seen.end()
	r.passes("rtr", ping("10.77.7.10")...)
	r.passes("rtr", ping("10.77.8.10")...)
	r.Exec("lan1", "ip", "rule", "add", "from", "10.77.7.10", "lookup", "77")
	r.Exec("lan1", "ip", "route", "add", "default", "via", "10.77.7.1", "table", "77")
	r.passes("lan1", append(curl("http://203.0.113.1/bytes/100000"), "--interface", "10.77.7.10")...)
	r.blocked("lan1", append(curl(tls4), "--interface", "10.77.7.10")...)
	// Each packet once, not once for the port and once for the VLAN.
	if n := r.metric(`ngfw_rule_bytes_total{rule_id="5"}`); n < 100000 || n > 150000 {
		t.Errorf("the rule counted %v bytes of a transfer of 100000", n)
	}
}

// A tagged frame is its VLAN's to judge, on whatever interface it came; with tag
// 0 it is an untagged one with a priority.
func TestTaggedFramesAreNotThePorts(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":5,"name":"counts","zone_from":"LAN","zone_to":"SELF","protocol":"udp","port":"4999","action":"accept"}`)
	r.startPolicy()
	cable, _ := lab.SegmentOf(lab.LAN1)
	send := func(tag ...gopacket.SerializableLayer) {
		t.Helper()
		eth := &layers.Ethernet{SrcMAC: cable.HostMAC, DstMAC: cable.RouterMAC, EthernetType: layers.EthernetTypeIPv4}
		if len(tag) > 0 {
			eth.EthernetType = layers.EthernetTypeDot1Q
		}
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: cable.Host4.Addr().AsSlice(), DstIP: cable.Router4.Addr().AsSlice()}
		udp := &layers.UDP{SrcPort: 1, DstPort: 4999}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		b := gopacket.NewSerializeBuffer()
		all := append([]gopacket.SerializableLayer{eth}, append(tag, ip, udp)...)
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
			t.Fatal(err)
		}
		r.In("lan1", func() {
			port, err := net.InterfaceByName(lab.HostPort)
			if err != nil {
				t.Fatal(err)
			}
			s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(s)
			if err := unix.Sendto(s, b.Bytes(), 0, &unix.SockaddrLinklayer{Ifindex: port.Index}); err != nil {
				t.Fatal(err)
			}
		})
	}
	tag := func(id uint16) *layers.Dot1Q { return &layers.Dot1Q{VLANIdentifier: id, Type: layers.EthernetTypeIPv4} }
	counted := func(want float64) {
		t.Helper()
		r.eventually(func() error {
			if n := r.metric(`ngfw_rule_packets_total{rule_id="5"}`); n != want {
				return fmt.Errorf("counted %v, want %v", n, want)
			}
			return nil
		})
	}
	send()
	counted(1)
	send(tag(7))
	send(tag(0))
	counted(2)
	send() // in order behind the others
	counted(3)
}
