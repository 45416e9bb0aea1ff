package packet

// icmp4 decodes RFC 792.
func (d *Decoder) icmp4(p *Packet, b []byte) {
	if len(b) < 8 {
		p.broken(ICMPv4PktTooSmall)
		return
	}
	p.Transport, p.Payload = b[:8], b[8:]
	c := &p.ICMP
	c.Type, c.Code = b[0], b[1]
	if d.cfg.Checksums {
		p.BadChecksum = checksum(b, 0) != 0
	}
	codes := 0 // the highest
	switch c.Type {
	case 0, 8, 13, 14, 15, 16, 17, 18:
		c.HasID, c.ID, c.Seq = true, be16(b[4:]), be16(b[6:])
	case 3, 4, 5, 11, 12:
		codes = [...]int{3: 15, 5: 3, 11: 1, 12: 2}[c.Type]
		c.Inner = b[8:]
		switch {
		case int(c.Code) > codes:
		case len(c.Inner) < 20:
			p.Events.Add(ICMPv4IPv4TruncPkt)
		case c.Inner[0]>>4 != 4:
			p.Events.Add(ICMPv4IPv4UnknownVer)
		}
	case 9: // router advertisement; 16: does not route common traffic (RFC 3344)
		if c.Code == 16 {
			codes = 16
		}
	case 10:
	case 40: // photuris
		codes = 5
	case 42, 43: // extended echo, RFC 8335
		codes = 4
	default:
		p.Events.Add(ICMPv4UnknownType)
		return
	}
	if int(c.Code) > codes {
		p.Events.Add(ICMPv4UnknownCode)
	}
}

// icmp6 decodes RFC 4443 and those that add types to it.
func (d *Decoder) icmp6(p *Packet, b []byte) {
	if len(b) < 8 {
		p.broken(ICMPv6PktTooSmall)
		return
	}
	p.Transport, p.Payload = b[:8], b[8:]
	c := &p.ICMP
	c.Type, c.Code = b[0], b[1]
	if d.cfg.Checksums {
		p.BadChecksum = p.pseudo(b) != 0
	}
	codes := 0
	switch c.Type {
	case 1:
		codes = 7
	case 2:
	case 3:
		codes = 1
	case 4:
		codes = 10
	case 128, 129:
		c.HasID, c.ID, c.Seq = true, be16(b[4:]), be16(b[6:])
	case 130, 131, 132, 143: // listener discovery goes one hop (RFC 3810, section 5)
		if p.Network[7] != 1 {
			p.Events.Add(ICMPv6MldMessageWithInvalidHl)
		}
	case 133, 134, 135, 136, 137, 141, 142, 144, 145, 146, 147, 148, 149, 150, 151, 152, 153, 154, 157, 158:
	case 138:
		codes = 255
	case 139, 140:
		codes = 2
	case 155: // RPL, RFC 6550
		codes = 255
	case 160, 161: // extended echo
		codes = 4
	case 100, 101, 200, 201:
		p.Events.Add(ICMPv6ExperimentationType)
		return
	default:
		switch {
		case c.Type >= 5 && c.Type <= 99, c.Type >= 102 && c.Type <= 126, c.Type >= 159 && c.Type <= 199, c.Type == 156, c.Type >= 202 && c.Type <= 254:
			p.Events.Add(ICMPv6UnassignedType)
		default:
			p.Events.Add(ICMPv6UnknownType)
		}
		return
	}
	if c.Type < 5 {
		c.Inner = b[8:]
		switch {
		case len(c.Inner) < 40:
			p.Events.Add(ICMPv6IPv6TruncPkt)
		case c.Inner[0]>>4 != 6:
			p.Events.Add(ICMPv6IPv6UnknownVersion)
		}
	}
	if int(c.Code) > codes {
		p.Events.Add(ICMPv6UnknownCode)
	}
}
