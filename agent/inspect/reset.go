package inspect

import (
	"log/slog"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/ids/rule"
)

// resetter answers packets of flows that a rule rejects: TCP by a reset to one end or
// both (RFC 9293 3.5.2), what else by "administratively prohibited" to the sender
// (RFC 1812 5.2.7.1, RFC 4443 3.1). It sends by raw sockets, made at the first answer.
type resetter struct {
	log    *slog.Logger
	socket map[int]int // family → descriptor, -1: could not be had
}

func newResetter(log *slog.Logger) *resetter { return &resetter{log: log, socket: map[int]int{}} }

// answer answers the packet that was refused.
func (r *resetter) answer(data []byte, to rule.Action) {
	src, dst, ok := addresses(data)
	if !ok || !src.IsGlobalUnicast() || !dst.IsGlobalUnicast() {
		return
	}
	first := layers.LayerTypeIPv4
	if src.Is6() {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(data, first, gopacket.DecodeOptions{NoCopy: true, Lazy: true})
	tcp, isTCP := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !isTCP {
		if p.Layer(layers.LayerTypeICMPv4) == nil && p.Layer(layers.LayerTypeICMPv6) == nil {
			r.prohibited(src, dst, data)
		}
		return
	}
	if tcp.RST {
		return
	}
	length := uint32(len(tcp.Payload))
	if tcp.SYN {
		length++
	}
	if tcp.FIN {
		length++
	}
	if to != rule.ActionRejectDestination {
		back := &layers.TCP{SrcPort: tcp.DstPort, DstPort: tcp.SrcPort, RST: true, ACK: !tcp.ACK, Seq: tcp.Ack, Ack: tcp.Seq + length}
		if !tcp.ACK {
			back.Seq = 0
		}
		r.send(dst, src, layers.IPProtocolTCP, back)
	}
	if to != rule.ActionReject {
		on := &layers.TCP{SrcPort: tcp.SrcPort, DstPort: tcp.DstPort, RST: true, ACK: tcp.ACK, Seq: tcp.Seq, Ack: tcp.Ack}
		r.send(src, dst, layers.IPProtocolTCP, on)
	}
}

// prohibited quotes the packet's beginning, as an ICMP error does.
func (r *resetter) prohibited(src, dst netip.Addr, data []byte) {
	if src.Is4() {
		quote := gopacket.Payload(data[:min(len(data), 28)])
		r.send(dst, src, layers.IPProtocolICMPv4, &layers.ICMPv4{
			TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeCommAdminProhibited),
		}, quote)
		return
	}
	quote := gopacket.Payload(append(make([]byte, 4), data[:min(len(data), 1200)]...))
	r.send(dst, src, layers.IPProtocolICMPv6, &layers.ICMPv6{
		TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeAdminProhibited),
	}, quote)
}

func (r *resetter) send(from, to netip.Addr, protocol layers.IPProtocol, inner ...gopacket.SerializableLayer) {
	var ip gopacket.NetworkLayer
	var outer gopacket.SerializableLayer
	family := unix.AF_INET
	if from.Is4() {
		v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: net.IP(from.AsSlice()), DstIP: net.IP(to.AsSlice())}
		ip, outer = v4, v4
	} else {
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: net.IP(from.AsSlice()), DstIP: net.IP(to.AsSlice())}
		ip, outer, family = v6, v6, unix.AF_INET6
	}
	switch l := inner[0].(type) {
	case *layers.TCP:
		l.SetNetworkLayerForChecksum(ip)
	case *layers.ICMPv6:
		l.SetNetworkLayerForChecksum(ip)
	}
	out := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(out, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append([]gopacket.SerializableLayer{outer}, inner...)...); err != nil {
		r.log.Warn("a rejected packet is not answered", "err", err)
		return
	}
	fd := r.open(family)
	if fd < 0 {
		return
	}
	if err := sendTo(fd, out.Bytes(), to); err != nil {
		r.log.Debug("a rejected packet is not answered", "err", err)
	}
}

func sendTo(fd int, b []byte, to netip.Addr) error {
	if to.Is4() {
		return unix.Sendto(fd, b, unix.MSG_DONTWAIT, &unix.SockaddrInet4{Addr: to.As4()})
	}
	return unix.Sendto(fd, b, unix.MSG_DONTWAIT, &unix.SockaddrInet6{Addr: to.As16()})
}

// open makes the raw socket of a family, once.
func (r *resetter) open(family int) int {
	if fd, ok := r.socket[family]; ok {
		return fd
	}
	// IPPROTO_RAW implies that the header is ours (raw(7)).
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err == nil && family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1)
	}
	if err == nil {
		// The table lets packets of ours with this mark, and without a judgement, pass.
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, dataplane.MarkInspect)
	}
	if err != nil {
		r.log.Warn("rejected packets are dropped without an answer", "err", err)
		fd = -1
	}
	r.socket[family] = fd
	return fd
}

// close lets the sockets go.
func (r *resetter) close() {
	for _, fd := range r.socket {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	clear(r.socket)
}
