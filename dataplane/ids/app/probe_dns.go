package app

// probeDNSUDP takes a message that could be one: header bits that mean something, few questions, and a
// name that can be read.
func probeDNSUDP(b []byte) answer { return dnsLooksRight(b, false) }

// wholeDNS says whether a message is one to its last byte, which elsewhere than on DNS's
// port tells it from what only begins like one.
func wholeDNS(b []byte) bool {
	if len(b) < 12 || be16(b[4:]) != 1 {
		return false
	}
	at := 12
	for section, records := range []int{1, be16(b[6:]), be16(b[8:]), be16(b[10:])} {
		for range records {
			for {
				if at >= len(b) {
					return false
				}
				n := int(b[at])
				if n&0xc0 == 0xc0 {
					at += 2
					break
				}
				if at += n + 1; n > 63 {
					return false
				}
				if n == 0 {
					break
				}
			}
			if at += 4; section > 0 {
				if at+6 > len(b) {
					return false
				}
				at += 6 + be16(b[at+4:])
			}
			if at > len(b) {
				return false
			}
		}
	}
	return at == len(b)
}

func probeDNSTCP(b []byte) answer {
	if len(b) < 14 {
		if len(b) > 1 && be16(b) < 12 || len(b) > 6 && !dnsCounts(b[2:]) {
			return no
		}
		return maybe
	}
	if be16(b) < 12 {
		return no
	}
	return dnsLooksRight(b[2:], true)
}

func dnsCounts(b []byte) bool { return len(b) < 6 || be16(b[4:]) <= 8 }

func dnsLooksRight(b []byte, partial bool) answer {
	if len(b) < 12 {
		return no
	}
	questions, answers := be16(b[4:]), be16(b[6:])
	opcode := b[2] >> 3 & 15
	if questions > 8 || opcode > 6 || questions == 0 && (answers == 0 && be16(b[8:]) == 0 && b[2]&0x80 == 0) || answers > 512 || be16(b[8:]) > 512 || be16(b[10:]) > 512 {
		return no
	}
	at := 12
	for {
		if at >= len(b) {
			if partial && at < 300 {
				return maybe
			}
			return no
		}
		n := int(b[at])
		if n == 0 {
			at++
			break
		}
		if n&0xc0 == 0xc0 {
			at += 2
			break
		}
		if n > 63 || at > 12+255 {
			return no
		}
		at += n + 1
	}
	if questions == 0 {
		return yes
	}
	if at+4 > len(b) {
		if partial {
			return maybe
		}
		return no
	}
	if class := be16(b[at+2:]) &^ 0x8000; class > 4 && class < 254 || class > 255 {
		return no
	}
	return yes
}
