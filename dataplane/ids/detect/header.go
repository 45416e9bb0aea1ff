package detect

import (
	"encoding/binary"

	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Numbers of protocols (IANA).
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// isPacketNumber are the integers that are asked of packets and flows.
var isPacketNumber = func() map[string]bool {
	m := map[string]bool{"flow.age": true, "vlan.id": true}
	for name := range packetNumbers {
		m[name] = true
	}
	return m
}()

// packetNumbers read a number of a packet; ok says whether it has it.
var packetNumbers = map[string]func(w *Worker) (v uint64, ok bool){
	"dsize": func(w *Worker) (uint64, bool) {
		return uint64(len(w.packet.Payload)), w.packet.Version != 0
	},
	"ttl": func(w *Worker) (uint64, bool) {
		h := w.packet.Network
		switch {
		case w.packet.Version == 4 && len(h) >= 20:
			return uint64(h[8]), true
		case w.packet.Version == 6 && len(h) >= 40:
			return uint64(h[7]), true
		}
		return 0, false
	},
	"tos": func(w *Worker) (uint64, bool) {
		h := w.packet.Network
		switch {
		case w.packet.Version == 4 && len(h) >= 20:
			return uint64(h[1]), true
		case w.packet.Version == 6 && len(h) >= 40:
			return uint64(h[0]<<4 | h[1]>>4), true
		}
		return 0, false
	},
	"id": func(w *Worker) (uint64, bool) {
		h := w.packet.Network
		if w.packet.Version != 4 || len(h) < 20 {
			return 0, false
		}
		return uint64(binary.BigEndian.Uint16(h[4:])), true
	},
	"fragoffset": func(w *Worker) (uint64, bool) {
		h := w.packet.Network
		if w.packet.Version != 4 || len(h) < 20 {
			return 0, false
		}
		return uint64(binary.BigEndian.Uint16(h[6:]) & 0x1fff), true
	},
	"itype": func(w *Worker) (uint64, bool) { return uint64(w.packet.ICMP.Type), isICMP(w.packet) },
	"icode": func(w *Worker) (uint64, bool) { return uint64(w.packet.ICMP.Code), isICMP(w.packet) },
	"icmp_id": func(w *Worker) (uint64, bool) {
		return uint64(w.packet.ICMP.ID), isICMP(w.packet) && w.packet.ICMP.HasID
	},
	"icmp_seq": func(w *Worker) (uint64, bool) {
		return uint64(w.packet.ICMP.Seq), isICMP(w.packet) && w.packet.ICMP.HasID
	},
	"icmpv6.mtu": func(w *Worker) (uint64, bool) {
		p := w.packet
		if p.Protocol != protoICMPv6 || p.ICMP.Type != 2 || len(p.Transport) < 8 {
			return 0, false
		}
		return uint64(binary.BigEndian.Uint32(p.Transport[4:])), true
	},
	"seq":    func(w *Worker) (uint64, bool) { return uint64(w.packet.TCP.Seq), isTCP(w.packet) },
	"ack":    func(w *Worker) (uint64, bool) { return uint64(w.packet.TCP.Ack), isTCP(w.packet) },
	"window": func(w *Worker) (uint64, bool) { return uint64(w.packet.TCP.Window), isTCP(w.packet) },
	"tcp.mss": func(w *Worker) (uint64, bool) {
		return uint64(w.packet.TCP.MSS), isTCP(w.packet) && w.packet.TCP.MSS != 0
	},
	"tcp.wscale": func(w *Worker) (uint64, bool) {
		return uint64(w.packet.TCP.WScale), isTCP(w.packet) && w.packet.TCP.WScale >= 0
	},
	"vlan.layers": func(w *Worker) (uint64, bool) {
		return uint64(w.packet.VLANCount), true
	},
	"igmp.type": func(w *Worker) (uint64, bool) {
		if w.packet.Protocol != 2 || len(w.packet.Payload) == 0 {
			return 0, false
		}
		return uint64(w.packet.Payload[0]), true
	},
}

func isICMP(p *packet.Packet) bool {
	return (p.Protocol == protoICMP || p.Protocol == protoICMPv6) && len(p.Transport) > 0
}
func isTCP(p *packet.Packet) bool { return p.Protocol == protoTCP && len(p.Transport) > 0 }

// packetNumber compiles a comparison with a number of packets or flows.
func (c *compiler) packetNumber(s *signature, x *rule.Integer) error {
	switch x.Name {
	case "flow.age":
		s.checks = append(s.checks, func(w *Worker) bool {
			return w.flow != nil && x.Match(uint64(max(w.packet.Time-w.flow.Start, 0)/1e9))
		})
		return nil
	case "vlan.id":
		s.checks = append(s.checks, func(w *Worker) bool {
			w.numbers = w.numbers[:0]
			for _, id := range w.packet.VLANs[:w.packet.VLANCount] {
				w.numbers = append(w.numbers, uint64(id))
			}
			return indexMatch(x, w.numbers)
		})
		return nil
	}
	read := packetNumbers[x.Name]
	if x.Name == "dsize" && x.Op == rule.NotEqual {
		// Without a payload there is no size to differ.
		read = func(w *Worker) (uint64, bool) { return uint64(len(w.packet.Payload)), len(w.packet.Payload) > 0 }
	}
	s.checks = append(s.checks, func(w *Worker) bool {
		v, ok := read(w)
		return ok && x.Match(v)
	})
	return nil
}

// indexMatch compares several numbers as the index says.
func indexMatch(x *rule.Integer, all []uint64) bool {
	hits := 0
	for _, v := range all {
		if x.Match(v) {
			hits++
		}
	}
	switch x.Index.Kind {
	case rule.AnyOf:
		return hits > 0
	case rule.AllOf:
		return len(all) > 0 && hits == len(all)
	case rule.AllOrAbsent:
		return hits == len(all)
	case rule.OrAbsent:
		return hits > 0 || len(all) == 0
	case rule.Times:
		return x.Index.Times.Match(uint64(hits))
	case rule.Count:
		return x.Match(uint64(len(all)))
	}
	at := x.Index.At
	if at < 0 {
		at += len(all)
	}
	if at < 0 || at >= len(all) {
		return x.Index.Kind == rule.AtOrOutside
	}
	return x.Match(all[at])
}

// headerBytes are the bytes of a buffer of the layer Header; nil if the packet has none.
func (w *Worker) headerBytes(kind *rule.BufferKind) []byte {
	p := w.packet
	switch kind.Name {
	case "tcp.hdr":
		if p.Protocol == protoTCP {
			return p.Transport
		}
	case "udp.hdr":
		if p.Protocol == protoUDP {
			return p.Transport
		}
	case "ipv4.hdr":
		if p.Version == 4 {
			return p.Network
		}
	case "ipv6.hdr":
		// With extension headers.
		if n := len(p.IP) - len(p.Transport) - len(p.Payload); p.Version == 6 && n > len(p.Network) && !p.Fragment {
			return p.IP[:n]
		}
		if p.Version == 6 {
			return p.Network
		}
	case "icmpv4.hdr":
		if p.Protocol == protoICMP && p.Version == 4 {
			return p.Transport
		}
	case "icmpv6.hdr":
		if p.Protocol == protoICMPv6 && p.Version == 6 {
			return p.Transport
		}
	case "igmp.hdr":
		if p.Protocol == 2 {
			return p.Payload
		}
	case "ip.src", "ip.dst":
		if p.Version == 0 {
			return nil
		}
		a := w.src
		if kind.Name == "ip.dst" {
			a = w.dst
		}
		w.address = w.address[:0]
		if a.Is4() {
			b := a.As4()
			w.address = append(w.address, b[:]...)
		} else {
			b := a.As16()
			w.address = append(w.address, b[:]...)
		}
		return w.address
	case "ether.hdr":
		return p.Ethernet
	case "arp.hdr":
		if p.EtherType == 0x0806 && len(p.Frame) > len(p.Ethernet)+4*p.VLANCount {
			return p.Frame[len(p.Ethernet)+4*p.VLANCount:]
		}
	}
	return nil
}
