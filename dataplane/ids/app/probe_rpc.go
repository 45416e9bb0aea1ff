package app

func probeRPC(b []byte) answer {
	if len(b) < 24 {
		return no
	}
	if kind := be32(b[4:]); kind == 0 && be32(b[8:]) == 2 && be32(b[12:]) >= 100000 && be32(b[12:]) < 100100 || kind == 1 && be32(b[8:]) <= 1 {
		return yes
	}
	return no
}

func probeRPCTCP(b []byte) answer {
	if b[0] != 0x80 {
		return no
	}
	if len(b) < 28 {
		return maybe
	}
	// Calls to NFS (100003) and mount (100005), and replies, whose third word is 0.
	if be32(b[8:]) == 0 && be32(b[12:]) == 2 && (be32(b[16:]) == 100003 || be32(b[16:]) == 100005) {
		return yes
	}
	if be32(b[8:]) == 1 && be32(b[12:]) == 0 && be32(b[16:]) <= 6 {
		return yes
	}
	return no
}
