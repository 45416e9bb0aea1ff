package app

func probeModbus(b []byte) answer {
	if len(b) > 3 && (b[2] != 0 || b[3] != 0) {
		return no
	}
	if len(b) < 8 {
		return maybe
	}
	if n := be16(b[4:]); n >= 2 && n <= 254 {
		return yes
	}
	return no
}

func probeDNP3(b []byte) answer {
	if b[0] != 5 || len(b) > 1 && b[1] != 0x64 || len(b) > 2 && b[2] < 5 {
		return no
	}
	if len(b) < 3 {
		return maybe
	}
	return yes
}

func probeENIP(b []byte) answer {
	if len(b) < 24 {
		return maybe
	}
	switch le16(b) {
	case 0, 4, 0x63, 0x64, 0x65, 0x66, 0x6f, 0x70, 0x72, 0x73:
		if be32(b[20:]) == 0 {
			return yes
		}
	}
	return no
}
