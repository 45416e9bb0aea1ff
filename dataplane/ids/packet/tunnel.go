package packet

// gre decodes RFC 2784 and 2890 (version 0) and RFC 2637 (version 1).
func (d *Decoder) gre(p *Packet, b []byte) {
	if len(b) < 4 {
		p.broken(GREPktTooSmall)
		return
	}
	flags, protocol := be16(b), be16(b[2:])
	const checksum, routing, key, sequence, ssr, ack = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0080
	n := 4
	tooBig := GREVersion0HdrTooBig
	switch flags & 7 {
	case 0:
		if flags&0x0700 != 0 {
			p.broken(GREVersion0Recur)
			return
		}
		if flags&0x00f8 != 0 {
			p.broken(GREVersion0Flags)
			return
		}
		if flags&(checksum|routing) != 0 {
			n += 4
		}
		if flags&key != 0 {
			n += 4
		}
		if flags&sequence != 0 {
			n += 4
		}
		if n > len(b) {
			p.broken(tooBig)
			return
		}
		if flags&routing != 0 {
			for {
				if n+4 > len(b) {
					p.broken(GREVersion0MalformedSreHdr)
					return
				}
				family, length := be16(b[n:]), int(b[n+3])
				n += 4
				if family == 0 && length == 0 {
					break
				}
				n += length
				if n > len(b) {
					p.broken(GREVersion0MalformedSreHdr)
					return
				}
			}
		}
	case 1:
		tooBig = GREVersion1HdrTooBig
		bad := Event(0)
		switch {
		case flags&checksum != 0:
			bad = GREVersion1Chksum
		case flags&routing != 0:
			bad = GREVersion1Route
		case flags&ssr != 0:
			bad = GREVersion1Ssr
		case flags&0x0700 != 0:
			bad = GREVersion1Recur
		case flags&0x0078 != 0:
			bad = GREVersion1Flags
		case protocol != etherPPP:
			bad = GREVersion1WrongProtocol
		case flags&key == 0:
			bad = GREVersion1NoKey
		}
		if bad != 0 {
			p.broken(bad)
			return
		}
		n += 4
		if flags&sequence != 0 {
			n += 4
		}
		if flags&ack != 0 {
			n += 4
		}
	default:
		p.broken(GREWrongVersion)
		return
	}
	if n > len(b) {
		p.broken(tooBig)
		return
	}
	rest := b[n:]
	switch protocol {
	case etherIPv4:
		d.inner(p, rest, (*Decoder).ip4)
	case etherIPv6:
		d.inner(p, rest, (*Decoder).ip6)
	case etherPPP:
		d.inner(p, rest, (*Decoder).ppp)
	case etherBridge:
		d.inner(p, rest, (*Decoder).ethernet)
	case etherVLAN:
		d.inner(p, rest, (*Decoder).vlan)
	case etherERSPAN:
		if flags&sequence == 0 {
			if d.cfg.ERSPANType1 {
				d.inner(p, rest, (*Decoder).ethernet)
			}
			return
		}
		d.inner(p, rest, (*Decoder).erspan)
	case etherERSPAN3:
		d.inner(p, rest, (*Decoder).erspan3)
	case etherMPLS, etherMPLSM:
		d.inner(p, rest, (*Decoder).mpls)
	}
}

func (d *Decoder) erspan(p *Packet, b []byte) {
	if len(b) < 8 {
		p.broken(ERSPANHeaderTooSmall)
		return
	}
	if b[0]>>4 != 1 { // type II
		p.broken(ERSPANUnsupportedVersion)
		return
	}
	if id := be16(b) & 0xfff; id != 0 {
		if p.VLANCount == maxVLANs {
			p.broken(ERSPANTooManyVLANLayers)
			return
		}
		p.VLANs[p.VLANCount] = id
		p.VLANCount++
	}
	d.ethernet(p, b[8:])
}

func (d *Decoder) erspan3(p *Packet, b []byte) {
	if len(b) < 12 {
		p.broken(ERSPANHeaderTooSmall)
		return
	}
	if b[0]>>4 != 2 {
		p.broken(ERSPANUnsupportedVersion)
		return
	}
	n := 12
	if b[11]&1 == 1 { // a platform's subheader follows
		n += 8
	}
	if n > len(b) {
		p.broken(ERSPANHeaderTooSmall)
		return
	}
	d.ethernet(p, b[n:])
}

// mpls decodes RFC 3032. What follows the labels has no name but the label's.
func (d *Decoder) mpls(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	for {
		if len(b) < 4 {
			p.broken(MPLSHeaderTooSmall)
			return
		}
		entry := be32(b)
		label, bottom := entry>>12, entry&0x100 != 0
		b = b[4:]
		if !bottom {
			continue
		}
		switch {
		case label == 0 || label == 2: // explicit null
		case label == 1:
			p.broken(MPLSBadLabelRouterAlert)
			return
		case label == 3:
			p.broken(MPLSBadLabelImplicitNull)
			return
		case label < 16:
			p.Events.Add(MPLSBadLabelReserved)
		}
		if len(b) < 20 {
			p.broken(MPLSPktTooSmall)
			return
		}
		switch {
		case label == 0 || b[0]>>4 == 4:
			d.ip4(p, b)
		case label == 2 || b[0]>>4 == 6:
			d.ip6(p, b)
		case b[0]>>4 == 0: // a pseudowire's control word, then Ethernet (RFC 4448)
			d.ethernet(p, b[4:])
		default:
			p.broken(MPLSUnknownPayloadType)
		}
		return
	}
}

func (d *Decoder) nsh(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	if len(b) < 8 {
		p.broken(NSHHeaderTooSmall)
		return
	}
	n := int(b[1]&0x3f) * 4
	switch {
	case b[0]>>6 != 0:
		p.Events.Add(NSHUnsupportedVersion)
		return
	case n < 8 || n >= len(b):
		p.broken(NSHBadHeaderLength)
		return
	}
	switch b[2] & 0xf {
	case 0:
		p.Events.Add(NSHReservedType)
		return
	case 1, 2:
	case 3, 4, 5, 6, 7, 8:
		p.Events.Add(NSHUnsupportedType)
		return
	default:
		p.Events.Add(NSHUnsupportedType)
		return
	}
	switch b[3] {
	case 1:
		d.ip4(p, b[n:])
	case 2:
		d.ip6(p, b[n:])
	case 3:
		d.ethernet(p, b[n:])
	case 5:
		d.mpls(p, b[n:])
	default:
		p.Events.Add(NSHUnsupportedType)
	}
}

// tunnelInUDP looks into VXLAN (RFC 7348), Geneve (RFC 8926) and Teredo (RFC 4380).
func (d *Decoder) tunnelInUDP(p *Packet, b []byte) {
	switch {
	case anyPort(d.cfg.TeredoPorts, p.SrcPort) || anyPort(d.cfg.TeredoPorts, p.DstPort):
		d.teredo(p, b)
	case anyPort(d.cfg.GenevePorts, p.DstPort):
		d.geneve(p, b)
	case anyPort(d.cfg.VXLANPorts, p.DstPort):
		if len(b) < 8+14 || b[0]&0x08 == 0 {
			return
		}
		switch be16(b[8+12:]) {
		case etherIPv4, etherIPv6, etherVLAN, etherQinQ, etherARP, etherMPLS, etherPPPoE, etherPPPoED:
			d.inner(p, b[8:], (*Decoder).ethernet)
		default:
			p.Events.Add(VXLANUnknownPayloadType)
		}
	}
}

func anyPort(ports []uint16, port uint16) bool {
	for _, p := range ports {
		if p == port {
			return true
		}
	}
	return false
}

func (d *Decoder) geneve(p *Packet, b []byte) {
	if len(b) < 8 || b[0]>>6 != 0 {
		return
	}
	n := 8 + int(b[0]&0x3f)*4
	if n > len(b) || b[7] != 0 {
		return
	}
	switch be16(b[2:]) {
	case etherBridge:
		d.inner(p, b[n:], (*Decoder).ethernet)
	case etherIPv4:
		d.inner(p, b[n:], (*Decoder).ip4)
	case etherIPv6:
		d.inner(p, b[n:], (*Decoder).ip6)
	default:
		p.Events.Add(GeneveUnknownPayloadType)
	}
}

func (d *Decoder) teredo(p *Packet, b []byte) {
	if len(b) < 40 {
		return
	}
	if b[0] == 0 { // indications come before the packet
		if b[1] == 1 { // authentication: two lengths, nonce and confirmation
			n := 4 + int(b[2]) + int(b[3]) + 9
			if n > len(b) {
				return
			}
			b = b[n:]
		}
		if len(b) >= 8 && b[0] == 0 && b[1] == 0 { // origin
			b = b[8:]
		}
	}
	// Only what is plainly IPv6 and fills the datagram: the port alone says little.
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	if n := int(be16(b[4:])); n == 0 || n+40 == len(b) || b[6] == 0 {
		d.inner(p, b, (*Decoder).ip6)
	}
}
