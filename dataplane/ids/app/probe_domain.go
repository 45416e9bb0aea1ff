package app

func probeSMB(b []byte) answer {
	// A NetBIOS session message, then the mark of SMB 1, 2 or an encrypted 3.
	if b[0] != 0 && b[0] != 0x81 {
		return no
	}
	if len(b) < 8 {
		if len(b) > 4 && (b[4] < 0xfd || b[0] != 0) && b[0] != 0x81 {
			return no
		}
		return maybe
	}
	if string(b[5:8]) == "SMB" && b[4] >= 0xfd {
		return yes
	}
	if b[0] == 0x81 && be16(b[2:]) >= 32 && be16(b[2:]) <= 256 { // session request
		return yes
	}
	return no
}

func probeDCERPC(b []byte) answer {
	if b[0] != 5 || len(b) > 1 && b[1] > 1 || len(b) > 2 && b[2] > 19 {
		return no
	}
	if len(b) < 10 {
		return maybe
	}
	size := le16(b[8:])
	if b[4]&0x10 == 0 {
		size = be16(b[8:])
	}
	if b[4]&0xee == 0 && b[5] <= 3 && size >= 16 {
		return yes
	}
	return no
}

func probeDCERPCUDP(b []byte) answer {
	if len(b) >= 80 && b[0] == 4 && b[1] <= 10 && b[2]&0xfc == 0x20 || len(b) >= 80 && b[0] == 4 && b[1] <= 10 && b[3] <= 1 && b[4]&0xee == 0 {
		return yes
	}
	return no
}

func probeKRB5(b []byte) answer {
	if len(b) < 10 || b[0]&0xe0 != 0x60 {
		return no
	}
	if kind := b[0] & 0x1f; kind >= 10 && kind <= 15 || kind == 30 {
		return yes
	}
	return no
}

func probeKRB5TCP(b []byte) answer {
	if len(b) < 14 {
		return maybe
	}
	if size := be32(b); size > 1<<20 || size < 10 {
		return no
	}
	return probeKRB5(b[4:])
}

func probeLDAP(b []byte) answer {
	if b[0] != 0x30 {
		return no
	}
	if len(b) < 8 {
		return maybe
	}
	at := 2
	if b[1]&0x80 != 0 {
		at += int(b[1] & 0x7f)
	}
	switch {
	case at > 6:
		return no
	case len(b) < at+2:
		return maybe
	case b[at] != 2 || b[at+1] == 0 || b[at+1] > 4:
		return no
	}
	if at += 2 + int(b[at+1]); at >= len(b) {
		return maybe
	}
	if b[at]&0xc0 == 0x40 && b[at]&0x1f <= 25 {
		return yes
	}
	return no
}
