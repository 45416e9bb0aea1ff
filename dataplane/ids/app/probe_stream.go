package app

import (
	"bytes"
)

func probeHTTP2Server(b []byte) answer {
	// The first frame is SETTINGS (RFC 9113 section 3.4): stream 0, a multiple of 6.
	if len(b) < 9 {
		for i, want := range []byte{0, 0} {
			if i < len(b) && b[i] != want {
				return no
			}
		}
		if len(b) > 3 && b[3] != 4 {
			return no
		}
		return maybe
	}
	size := int(b[0])<<16 | be16(b[1:])
	if b[3] == 4 && b[4]&^1 == 0 && size%6 == 0 && size < 1<<14 && be32(b[5:])&0x7fffffff == 0 {
		return yes
	}
	return no
}

func probeTLS(b []byte) answer {
	if b[0] == 0x16 || b[0] == 0x15 || b[0] == 0x17 || b[0] == 0x14 {
		switch {
		case len(b) > 1 && b[1] != 3 || len(b) > 2 && b[2] > 4:
			return no
		case len(b) < 3:
			return maybe
		}
		return yes
	}
	// SSLv2's hello: a length with the top bit, 1, a version.
	if b[0]&0x80 != 0 {
		if len(b) < 5 {
			if len(b) > 2 && b[2] != 1 {
				return no
			}
			return maybe
		}
		if b[2] == 1 && (b[3] == 0 && b[4] == 2 || b[3] == 3 && b[4] <= 3) {
			return yes
		}
	}
	return no
}

func probeMQTTClient(b []byte) answer {
	if b[0] != 0x10 {
		return no
	}
	for i := 1; i < 6; i++ {
		if i >= len(b) {
			return maybe
		}
		if b[i]&0x80 != 0 {
			continue
		}
		rest := b[i+1:]
		if a := starts("\x00\x04MQTT", "\x00\x06MQIsdp")(rest); len(rest) == 0 || a == maybe {
			return maybe
		} else {
			return a
		}
	}
	return no
}

func probeMQTTServer(b []byte) answer {
	if b[0] != 0x20 {
		return no
	}
	if len(b) < 4 {
		return maybe
	}
	if b[1] < 2 || b[1] >= 0x80 || b[2]&^1 != 0 || b[1] > 2 && b[3] >= 0xa3 {
		return no
	}
	if len(b) < int(b[1])+2 {
		return maybe
	}
	return yes
}

func probePgsql(b []byte) answer {
	if len(b) > 1 && (b[0] != 0 || b[1] != 0) {
		return no
	}
	if len(b) < 8 {
		return maybe
	}
	size, code := be32(b), be32(b[4:])
	if size == 8 && (code == 80877103 || code == 80877104) || size == 16 && code == 80877102 {
		return yes
	}
	if size >= 8 && size < 10000 && code == 3<<16 && (len(b) < 13 || bytes.HasPrefix(b[8:], []byte("user")) || bytes.HasPrefix(b[8:], []byte("database")) || bytes.Contains(b[8:], []byte("user\x00"))) {
		return yes
	}
	return no
}

func probeRDP(b []byte) answer {
	// TPKT and an X.224 connection request or confirm.
	if b[0] != 3 || len(b) > 1 && b[1] != 0 {
		return no
	}
	if len(b) < 7 {
		return maybe
	}
	if (b[5] == 0xe0 || b[5] == 0xd0) && int(b[4])+5 == be16(b[2:]) {
		return yes
	}
	return no
}
