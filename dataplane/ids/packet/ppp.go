package packet

// pppoeSession decodes RFC 2516, stage session.
func (d *Decoder) pppoeSession(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	if len(b) < 8 {
		p.broken(PPPoEPktTooSmall)
		return
	}
	if b[1] != 0 {
		p.broken(PPPoEWrongCode)
		return
	}
	// The length counts the PPP protocol; what is beyond is padding of the frame.
	if n := int(be16(b[4:])); n >= 2 && 6+n < len(b) {
		b = b[:6+n]
	}
	protocol, rest, ok := pppProtocol(b[6:])
	if !ok {
		p.broken(PPPoEPktTooSmall)
		return
	}
	d.pppPayload(p, protocol, rest)
}

// pppoeDiscovery looks at the tags alone.
func (d *Decoder) pppoeDiscovery(p *Packet, b []byte) {
	if len(b) < 6 {
		p.broken(PPPoEPktTooSmall)
		return
	}
	switch b[1] {
	case 0x09, 0x07, 0x19, 0x65, 0xa7: // PADI, PADO, PADR, PADS, PADT
	default:
		p.broken(PPPoEWrongCode)
		return
	}
	n := int(be16(b[4:]))
	if n > len(b)-6 {
		p.broken(PPPoEMalformedTags)
		return
	}
	for tags := b[6 : 6+n]; len(tags) >= 4; {
		length := 4 + int(be16(tags[2:]))
		if length > len(tags) {
			p.broken(PPPoEMalformedTags)
			return
		}
		tags = tags[length:]
	}
}

// pppProtocol reads the protocol field, which may be compressed to a byte
// (RFC 1661, section 6.5).
func pppProtocol(b []byte) (uint16, []byte, bool) {
	switch {
	case len(b) >= 1 && b[0]&1 == 1:
		return uint16(b[0]), b[1:], true
	case len(b) >= 2:
		return be16(b), b[2:], true
	}
	return 0, nil, false
}

// ppp decodes RFC 1662's header and what follows.
func (d *Decoder) ppp(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	if len(b) < 3 {
		p.broken(PPPPktTooSmall)
		return
	}
	if b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	protocol, rest, ok := pppProtocol(b)
	if !ok {
		p.broken(PPPPktTooSmall)
		return
	}
	d.pppPayload(p, protocol, rest)
}

func (d *Decoder) pppPayload(p *Packet, protocol uint16, b []byte) {
	switch protocol {
	case 0x0021, 0x002d:
		// Van Jacobson's uncompressed form carries a whole header.
		if len(b) < 20 {
			if protocol == 0x002d {
				p.broken(PPPVjuPktTooSmall)
			} else {
				p.broken(PPPIP4PktTooSmall)
			}
			return
		}
		if b[0]>>4 == 4 {
			d.ip4(p, b)
		} else {
			p.broken(PPPWrongType)
		}
	case 0x0057:
		if len(b) < 40 {
			p.broken(PPPIP6PktTooSmall)
			return
		}
		d.ip6(p, b)
	case 0x0281:
		d.mpls(p, b)
	case 0x002f, // Van Jacobson, compressed
		0x0029, 0x0025, 0x0027, 0x002b, 0x003d, 0x003f, 0x0043, 0x0045, 0x0047, 0x0049, 0x004b, 0x004d, 0x0053, 0x0055, 0x0059,
		0x0023, 0x0035, 0x0033, 0x0031, 0x0037, 0x0039, 0x003b, 0x00fb, 0x00fd:
		p.Events.Add(PPPUnsupProto)
	case 0x8021, 0x8023, 0x8025, 0x8027, 0x8029, 0x802b, 0x8031, 0x8035, 0x803d, 0x803f, 0x8041, 0x8049, 0x804b, 0x804d, 0x8053, 0x8057,
		0x80fb, 0x80fd, 0x8281, 0xc021, 0xc023, 0xc025, 0xc223, 0xc227:
		// The links' own talk: nothing to look into, and nothing odd.
	default:
		p.broken(PPPWrongType)
	}
}
