package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// tap sends and receives whole frames at a host's port.
type tap struct {
	fd, index int
}

func (r *router) tap(host string) *tap {
	r.t.Helper()
	t := &tap{}
	r.In(host, func() {
		port, err := net.InterfaceByName(lab.HostPort)
		if err != nil {
			r.t.Fatal(err)
		}
		t.index = port.Index
		all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			r.t.Fatal(err)
		}
		if err := unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20); err != nil {
			r.t.Fatal(err)
		}
	})
	r.t.Cleanup(func() { unix.Close(t.fd) })
	return t
}

// send puts packets on a host's cable to the router.
func (r *router) send(host string, packets ...packet) {
	r.t.Helper()
	for _, p := range packets {
		r.raw(host, ethernet(r.t, host, p.ip(r.t)))
	}
}

func (r *router) raw(host string, frame []byte) {
	r.t.Helper()
	t := r.taps[host]
	if err := unix.Sendto(t.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: t.index}); err != nil {
		r.t.Fatalf("send at %s: %v", host, err)
	}
}

// next is the next frame that came to the host; nil: none within the time.
func (t *tap) next(wait time.Duration) []byte {
	poll := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
	buf := make([]byte, 65536)
	for deadline := time.Now().Add(wait); ; {
		if n, _ := unix.Poll(poll, int(max(0, time.Until(deadline).Milliseconds()))); n == 0 {
			return nil
		}
		n, from, err := unix.Recvfrom(t.fd, buf, unix.MSG_DONTWAIT)
		if err != nil {
			continue
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype != unix.PACKET_OUTGOING {
			return buf[:n]
		}
	}
}

// arrivals sends an end mark from one host to another, behind what was sent
// before, and returns what came to the latter until then, its frames in
// r.frames.
func (r *router) arrivals(from, to string, v6 bool) []string {
	r.t.Helper()
	r.marks++
	mark := fmt.Sprintf("end mark %d", r.marks)
	p := packet{src: lab.IP4(from).String(), dst: lab.IP4(to).String(), proto: udp, sport: 20000 + uint16(r.marks), dport: 9, payload: mark}
	if v6 {
		p.src, p.dst = lab.IP6(from).String(), lab.IP6(to).String()
	}
	r.send(from, p)
	var seen []string
	r.frames = nil
	for {
		frame := r.taps[to].next(5 * time.Second)
		if frame == nil {
			r.t.Fatalf("the end mark from %s did not come to %s; before: %q", from, to, seen)
		}
		if strings.Contains(string(frame), mark) {
			return seen
		}
		if s := describe(frame); s != "" {
			seen = append(seen, s)
			r.frames = append(r.frames, bytes.Clone(frame))
		}
	}
}

// describe is a packet in a line: "udp 10.0.0.1:1 > 10.0.0.2:2"; "" is what is
// no IP, or IPv6's own signalling.
func describe(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	n := p.NetworkLayer()
	if n == nil {
		return ""
	}
	var src, dst netip.Addr
	src, _ = netip.AddrFromSlice(n.NetworkFlow().Src().Raw())
	dst, _ = netip.AddrFromSlice(n.NetworkFlow().Dst().Raw())
	switch l := p.Layers()[2].(type) {
	case *layers.IPv6HopByHop: // listener reports
		return ""
	case *layers.TCP:
		var flags string
		for _, f := range []struct {
			on   bool
			name string
		}{{l.SYN, "S"}, {l.FIN, "F"}, {l.RST, "R"}, {l.ACK, "A"}} {
			if f.on {
				flags += f.name
			}
		}
		return fmt.Sprintf("tcp %s %v > %v", flags, netip.AddrPortFrom(src, uint16(l.SrcPort)), netip.AddrPortFrom(dst, uint16(l.DstPort)))
	case *layers.UDP:
		return fmt.Sprintf("udp %v > %v", netip.AddrPortFrom(src, uint16(l.SrcPort)), netip.AddrPortFrom(dst, uint16(l.DstPort)))
	case *layers.ICMPv4:
		return fmt.Sprintf("icmp %d/%d %v > %v", l.TypeCode.Type(), l.TypeCode.Code(), src, dst)
	case *layers.ICMPv6:
		if t := l.TypeCode.Type(); t >= 130 && t <= 143 {
			return ""
		}
		return fmt.Sprintf("icmpv6 %d/%d %v > %v", l.TypeCode.Type(), l.TypeCode.Code(), src, dst)
	default:
		return fmt.Sprintf("%v %v > %v", l.LayerType(), src, dst)
	}
}
