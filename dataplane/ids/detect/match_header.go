package detect

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// header compares the packet's header with the rule's.
func (s *signature) header(w *Worker) bool {
	p := w.packet
	switch s.transport {
	case rule.TCP, rule.TCPPacket, rule.TCPStream:
		if p.Protocol != protoTCP || p.Version == 0 {
			return false
		}
	case rule.UDP:
		if p.Protocol != protoUDP || p.Version == 0 {
			return false
		}
	case rule.IP:
		if p.Version == 0 {
			return false
		}
	case rule.ICMP:
		if p.Protocol != protoICMP && p.Protocol != protoICMPv6 || p.Version == 0 {
			return false
		}
	case rule.ICMPv4:
		if p.Protocol != protoICMP || p.Version != 4 {
			return false
		}
	case rule.ICMPv6:
		if p.Protocol != protoICMPv6 || p.Version != 6 {
			return false
		}
	case rule.IPv4:
		if p.Version != 4 {
			return false
		}
	case rule.IPv6:
		if p.Version != 6 {
			return false
		}
	case rule.SCTP:
		if p.Protocol != protoSCTP || p.Version == 0 {
			return false
		}
	case rule.ARP:
		if p.EtherType != 0x0806 {
			return false
		}
	case rule.Ethernet:
		if len(p.Ethernet) == 0 {
			return false
		}
	}
	if s.apps != 0 {
		f := w.flow
		if f == nil || !f.ProtocolKnown || !s.apps.Has(f.Protocol) && !s.apps.Has(f.ProtocolOf[w.dir]) {
			return false
		}
	}
	if w.flow != nil && !s.both && w.tx == nil && (w.dir == app.ToServer && !s.toServer || w.dir == app.ToClient && !s.toClient) {
		return false
	}
	if p.Version == 0 {
		return s.src == nil && s.dst == nil && s.sport == nil && s.dport == nil
	}
	if s.both && w.flow != nil {
		// The client is the source, whoever sent this.
		side := w.dir
		if w.tx != nil {
			side = w.txDir
		}
		if side == app.ToClient {
			return s.ends(w, w.dst, w.src, w.dport, w.sport)
		}
	}
	return s.ends(w, w.src, w.dst, w.sport, w.dport) || s.either && s.ends(w, w.dst, w.src, w.dport, w.sport)
}

func (s *signature) ends(w *Worker, src, dst netip.Addr, sport, dport uint16) bool {
	if s.sport != nil || s.dport != nil {
		switch w.packet.Protocol {
		case protoTCP, protoUDP, protoSCTP:
		default:
			return false
		}
		if w.packet.Fragment {
			return false
		}
	}
	return (s.dport == nil || s.dport.Contains(dport)) && (s.sport == nil || s.sport.Contains(sport)) &&
		(s.dst == nil || s.dst.Contains(dst)) && (s.src == nil || s.src.Contains(src))
}
