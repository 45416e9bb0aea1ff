package quic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// version is what differs in how the first packets are protected.
type version struct {
	salt   string
	prefix string
	two    bool // types of packets are numbered as in version 2
}

const (
	v1 = 1
	v2 = 0x6b3343cf
)

var (
	saltV1 = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
	saltV2 = "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
	salt29 = "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
	salt23 = "\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
)

// versionOf says how a version protects its packets (RFC 9001 section 5.2, RFC 9369
// section 3.3, and the drafts before).
func versionOf(v uint32) (version, bool) {
	switch {
	case v == v1:
		return version{saltV1, "quic ", false}, true
	case v == v2:
		return version{saltV2, "quicv2 ", true}, true
	case v>>8 == 0xff0000 && v&0xff >= 29 && v&0xff <= 34:
		return version{salt29, "quic ", false}, true
	case v>>8 == 0xff0000 && v&0xff >= 23 && v&0xff <= 28:
		return version{salt23, "quic ", false}, true
	}
	return version{}, false
}

// opener removes the protection of one side's initial packets.
type opener struct {
	aead  cipher.AEAD
	iv    []byte
	block cipher.Block
}

func expand(secret []byte, label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "...), label...)
	info = append(info, 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		return nil
	}
	return out
}

// openers makes those of client and server from the client's first destination id.
func openers(v version, id []byte) (both [2]*opener) {
	initial, err := hkdf.Extract(sha256.New, id, []byte(v.salt))
	if err != nil {
		return both
	}
	for i, label := range []string{"client in", "server in"} {
		secret := expand(initial, label, 32)
		block, err := aes.NewCipher(expand(secret, v.prefix+"key", 16))
		if err != nil {
			return both
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return both
		}
		hp, err := aes.NewCipher(expand(secret, v.prefix+"hp", 16))
		if err != nil {
			return both
		}
		both[i] = &opener{aead, expand(secret, v.prefix+"iv", 12), hp}
	}
	return both
}

// open gives a packet's payload; at is where its number begins. It changes b.
func (o *opener) open(b []byte, at int) ([]byte, bool) {
	if o == nil || len(b) < at+20 {
		return nil, false
	}
	var mask [16]byte
	o.block.Encrypt(mask[:], b[at+4:at+20])
	b[0] ^= mask[0] & 0x0f
	n := int(b[0]&3) + 1
	number := uint64(0)
	for i := range n {
		b[at+i] ^= mask[1+i]
		number = number<<8 | uint64(b[at+i])
	}
	nonce := append([]byte(nil), o.iv...)
	for i := range 8 {
		nonce[4+i] ^= byte(number >> (56 - 8*i))
	}
	out, err := o.aead.Open(nil, nonce, b[at+n:], b[:at+n])
	return out, err == nil
}
