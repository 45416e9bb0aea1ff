package hello

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// reserved says whether a value is one that means nothing (GREASE, RFC 8701).
func reserved(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func join[T uint8 | uint16](b []byte, list []T) []byte {
	first := true
	for _, v := range list {
		if reserved(uint16(v)) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(v), 10)
		first = false
	}
	return b
}

// JA3 is the text that JA3 hashes, appended to b.
func (h *Client) JA3(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	b = join(append(b, ','), h.Ciphers)
	b = join(append(b, ','), h.Extensions)
	b = join(append(b, ','), h.Groups)
	return join(append(b, ','), h.Formats)
}

// JA3S is the text that JA3S hashes, appended to b.
func (h *Server) JA3S(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(h.Version), 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(h.Cipher), 10)
	return join(append(b, ','), h.Extensions)
}

// MD5 is the hash of a fingerprint's text, in hexadecimal, appended to b.
func MD5(b, text []byte) []byte {
	sum := md5.Sum(text)
	return hex.AppendEncode(b, sum[:])
}

// JA4 is the client's fingerprint by FoxIO's scheme; quic says that it came over it.
func (h *Client) JA4(quic bool) []byte {
	b := []byte{'t'}
	if quic {
		b[0] = 'q'
	}
	version := h.Version
	for _, v := range h.Versions {
		if !reserved(v) && (v > version || version == h.Version && !slices.Contains(h.Versions, version)) {
			version = v
		}
	}
	switch version {
	case 0x0304:
		b = append(b, "13"...)
	case 0x0303:
		b = append(b, "12"...)
	case 0x0302:
		b = append(b, "11"...)
	case 0x0301:
		b = append(b, "10"...)
	case 0x0300:
		b = append(b, "s3"...)
	case 0x0002:
		b = append(b, "s2"...)
	case 0xfeff:
		b = append(b, "d1"...)
	case 0xfefd:
		b = append(b, "d2"...)
	case 0xfefc:
		b = append(b, "d3"...)
	default:
		b = append(b, "00"...)
	}
	if slices.Contains(h.Extensions, extSNI) {
		b = append(b, 'd')
	} else {
		b = append(b, 'i')
	}
	var ciphers, exts []string
	count := 0
	for _, c := range h.Ciphers {
		if !reserved(c) {
			ciphers = append(ciphers, hex4(c))
		}
	}
	for _, e := range h.Extensions {
		if reserved(e) {
			continue
		}
		count++
		if e != extSNI && e != extALPN {
			exts = append(exts, hex4(e))
		}
	}
	b = append(b, two(len(ciphers))...)
	b = append(b, two(count)...)
	b = append(b, alpnEnds(h.ALPN)...)
	slices.Sort(ciphers)
	slices.Sort(exts)
	text := strings.Join(exts, ",")
	if len(h.Signatures) > 0 {
		var sigs []string
		for _, s := range h.Signatures {
			if !reserved(s) {
				sigs = append(sigs, hex4(s))
			}
		}
		text += "_" + strings.Join(sigs, ",")
	}
	b = append(append(b, '_'), short(strings.Join(ciphers, ","), len(ciphers) == 0)...)
	return append(append(b, '_'), short(text, len(exts) == 0)...)
}

func hex4(v uint16) string {
	s := strconv.FormatUint(uint64(v), 16)
	return "0000"[len(s):] + s
}

func two(n int) string {
	n = min(n, 99)
	return string([]byte{'0' + byte(n/10), '0' + byte(n%10)})
}

func short(text string, empty bool) string {
	if empty {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// alpnEnds are the first protocol's first and last letters.
func alpnEnds(list [][]byte) string {
	if len(list) == 0 || len(list[0]) == 0 {
		return "00"
	}
	first, last := list[0][0], list[0][len(list[0])-1]
	plain := func(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }
	if plain(first) && plain(last) {
		return string([]byte{first, last})
	}
	return hex.EncodeToString([]byte{first})[:1] + hex.EncodeToString([]byte{last})[1:]
}
