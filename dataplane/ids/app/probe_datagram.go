package app

import (
	"ngfw.sh/dataplane/ids/app/tx"
)

func probeDHCP(b []byte) answer {
	if len(b) >= 240 && (b[0] == 1 || b[0] == 2) && be32(b[236:]) == 0x63825363 {
		return yes
	}
	return no
}

func probeNTP(b []byte) answer {
	if version := b[0] >> 3 & 7; len(b) >= 48 && version >= 1 && version <= 4 {
		return yes
	}
	return no
}

func probeSNMP(b []byte) answer {
	inner, _, ok := tx.DER(b, 0x30)
	if version, _, ok2 := tx.DER(inner, 2); ok && ok2 && len(version) == 1 && version[0] <= 3 {
		return yes
	}
	return no
}

func probeTFTP(b []byte) answer {
	if len(b) >= 4 && b[0] == 0 && b[1] >= 1 && b[1] <= 6 {
		return yes
	}
	return no
}

func probeIKE(b []byte) answer {
	if len(b) > 4 && be32(b) == 0 { // the mark of NAT traversal
		b = b[4:]
	}
	if len(b) >= 28 && (b[17] == 0x10 || b[17]>>4 == 2) && be32(b[24:]) <= len(b) && be32(b[24:]) >= 28 {
		return yes
	}
	return no
}

func probeQUIC(b []byte) answer {
	// Google's own of before: flags, an id, a version such as Q043.
	if len(b) >= 24 && b[0]&0xc9 == 0x09 && b[9] == 'Q' && b[10] == '0' && b[11] >= '2' && b[11] <= '5' {
		return yes
	}
	// A long header whose version is one that is used, and whose ids fit.
	if b[0]&0xc0 != 0xc0 || len(b) < 24 {
		return no
	}
	v := be32(b[1:])
	known := v == 1 || v == 0x6b3343cf || v>>8 == 0xff0000 || v>>24 == 'Q' || v>>24 == 'T' || v&0x0f0f0f0f == 0x0a0a0a0a
	if n := int(b[5]); !known || n > 20 && v>>24 != 'Q' {
		return no
	}
	return yes
}
