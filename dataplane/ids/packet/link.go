package packet

// EtherTypes (IEEE 802, IANA).
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherBridge  = 0x6558
	etherVLAN    = 0x8100
	etherIPv6    = 0x86dd
	etherERSPAN  = 0x88be
	etherERSPAN3 = 0x22eb
	etherPPP     = 0x880b
	etherMPLS    = 0x8847
	etherMPLSM   = 0x8848
	etherPPPoED  = 0x8863
	etherPPPoE   = 0x8864
	etherQinQ    = 0x88a8
	ether8021ah  = 0x88e7
	etherDCE     = 0x8903
	etherVNTag   = 0x8926
	etherNSH     = 0x894f
	etherQinQOld = 0x9100
)

const maxVLANs = 3

func (d *Decoder) ethernet(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	if len(b) < 14 {
		p.broken(EthernetPktTooSmall)
		return
	}
	p.Ethernet = b[:14]
	d.etherType(p, be16(b[12:]), b[14:])
}

// etherType decodes what an EtherType names.
func (d *Decoder) etherType(p *Packet, t uint16, b []byte) {
	p.EtherType = t
	switch t {
	case etherIPv4:
		d.ip4(p, b)
	case etherIPv6:
		d.ip6(p, b)
	case etherVLAN, etherQinQ, etherQinQOld:
		d.vlan(p, b)
	case etherPPPoE:
		d.pppoeSession(p, b)
	case etherPPPoED:
		d.pppoeDiscovery(p, b)
	case etherMPLS, etherMPLSM:
		d.mpls(p, b)
	case ether8021ah:
		d.ieee8021ah(p, b)
	case etherDCE:
		if len(b) < 2 { // Cisco FabricPath: an Ethernet frame follows
			p.broken(DCEPktTooSmall)
			return
		}
		d.ethernet(p, b[2:])
	case etherVNTag:
		if len(b) < 6 {
			p.broken(VNTagHeaderTooSmall)
			return
		}
		if d.deeper(p) {
			d.etherType(p, be16(b[4:]), b[6:])
		}
	case etherNSH:
		d.nsh(p, b)
	case etherBridge:
		d.ethernet(p, b)
	case etherARP:
		d.arp(p, b)
	default:
		p.Events.Add(EthernetUnknownEthertype)
	}
}

func (d *Decoder) vlan(p *Packet, b []byte) {
	switch {
	case len(b) < 4:
		p.broken(VLANHeaderTooSmall)
	case p.VLANCount == maxVLANs:
		p.broken(VLANTooManyLayers)
	case d.deeper(p):
		p.VLANs[p.VLANCount] = be16(b) & 0xfff
		p.VLANCount++
		d.etherType(p, be16(b[2:]), b[4:])
	}
}

func (d *Decoder) ieee8021ah(p *Packet, b []byte) {
	if len(b) < 18 {
		p.broken(IEEE8021ahHeaderTooSmall)
		return
	}
	if d.deeper(p) {
		d.etherType(p, be16(b[16:]), b[18:])
	}
}

// arp checks what is known of Ethernet and IPv4 (RFC 826).
func (d *Decoder) arp(p *Packet, b []byte) {
	switch {
	case len(b) < 8:
		p.broken(ARPPktTooSmall)
	case be16(b) != 1:
		p.broken(ARPUnsupportedHardware)
	case be16(b[2:]) != etherIPv4:
		p.broken(ARPUnsupportedProtocol)
	case len(b) < 28:
		p.broken(ARPUnsupportedPkt)
	case b[4] != 6:
		p.broken(ARPInvalidHardwareSize)
	case b[5] != 4:
		p.broken(ARPInvalidProtocolSize)
	case be16(b[6:]) == 0 || be16(b[6:]) > 10:
		p.broken(ARPUnsupportedOpcode)
	default:
		p.ARP = b[:28]
	}
}

func (d *Decoder) raw(p *Packet, b []byte) {
	if len(b) < 20 {
		p.broken(IPv4PktTooSmall)
		return
	}
	switch b[0] >> 4 {
	case 4:
		p.EtherType = etherIPv4
		d.ip4(p, b)
	case 6:
		p.EtherType = etherIPv6
		d.ip6(p, b)
	default:
		p.broken(IPRawInvalidIpVersion)
	}
}

// null is the loopback of BSD: an address family in the byte order of the
// machine that captured it.
func (d *Decoder) null(p *Packet, b []byte) {
	if len(b) < 4 {
		p.broken(LTNullPktTooSmall)
		return
	}
	family := be32(b)
	if family > 0xffff {
		family = uint32(b[3])<<24 | uint32(b[2])<<16 | uint32(b[1])<<8 | uint32(b[0])
	}
	switch family {
	case 2:
		p.EtherType = etherIPv4
		d.ip4(p, b[4:])
	case 10, 24, 28, 30: // Linux, and three kinds of BSD
		p.EtherType = etherIPv6
		d.ip6(p, b[4:])
	default:
		p.broken(LTNullUnsupportedType)
	}
}

func (d *Decoder) sll(p *Packet, b []byte) {
	if len(b) < 16 {
		p.broken(SLLPktTooSmall)
		return
	}
	if d.deeper(p) {
		d.etherType(p, be16(b[14:]), b[16:])
	}
}

func (d *Decoder) sll2(p *Packet, b []byte) {
	if len(b) < 20 {
		p.broken(SLL2PktTooSmall)
		return
	}
	if d.deeper(p) {
		d.etherType(p, be16(b), b[20:])
	}
}

func (d *Decoder) chdlc(p *Packet, b []byte) {
	if len(b) < 4 {
		p.broken(CHDLCPktTooSmall)
		return
	}
	if d.deeper(p) {
		d.etherType(p, be16(b[2:]), b[4:])
	}
}
