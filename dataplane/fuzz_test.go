package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// sane is what a frame must be to be looked at, written for this test from the
// RFCs and with nothing of the programs' way of walking: nil for what is no IP.
func sane(frame []byte, tags bool) (ip bool, err string) {
	at := 12
	for range 2 {
		kind := binary.BigEndian.Uint16(frame[at:])
		if !tags || kind != 0x8100 && kind != 0x88a8 {
			break
		}
		if at += 4; len(frame) < at+2 {
			return true, "half a tag"
		}
	}
	switch binary.BigEndian.Uint16(frame[at:]) {
	case 0x0800:
		return true, sane4(frame[at+2:])
	case 0x86dd:
		return true, sane6(frame[at+2:], at+2)
	}
	return false, ""
}

func sane4(b []byte) string {
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 {
		return "no header"
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total < header || total > len(b) {
		return "length"
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	if src.IsMulticast() || src.IsLoopback() || dst.IsLoopback() || src == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return "addresses"
	}
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return ""
	}
	return saneTransport(b[9], b[header:total])
}

func sane6(b []byte, start int) string {
	if len(b) < 40 || b[0]>>4 != 6 {
		return "no header"
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return "length"
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	if src.IsMulticast() || src.IsLoopback() || dst.IsLoopback() || src.Is4In6() || dst.Is4In6() {
		return "addresses"
	}
	next, rest := b[6], b[40:total]
	for n := 0; ; n++ {
		if start+total-len(rest) > 1024 {
			return "too long headers"
		}
		length := 0
		switch next {
		case 0, 43, 60:
			if len(rest) >= 4 {
				length = 8 + 8*int(rest[1])
			}
			if next == 0 && n > 0 {
				return "hop-by-hop is not first"
			}
			if next == 43 && len(rest) >= 4 && rest[2] == 0 && rest[3] != 0 {
				return "source routed"
			}
		case 51:
			if len(rest) >= 4 {
				length = 8 + 4*int(rest[1])
			}
		case 44:
			length = 8
		default:
			return saneTransport(next, rest)
		}
		if n == 6 {
			return "too many headers"
		}
		if length == 0 || len(rest) < length {
			return "an extension header is cut"
		}
		if next == 44 && binary.BigEndian.Uint16(rest[2:])&0xfff8 != 0 {
			return ""
		}
		next, rest = rest[0], rest[length:]
	}
}

func saneTransport(proto byte, b []byte) string {
	least := map[byte]int{6: 20, 17: 8, 132: 12, 1: 8, 58: 8}[proto]
	if len(b) < least {
		return "transport header"
	}
	if proto != 6 {
		return ""
	}
	const fin, syn, rst, ack = 1, 2, 4, 16
	if offset := int(b[12]>>4) * 4; offset < 20 || offset > len(b) {
		return "TCP options"
	}
	if flags := b[13]; flags&(fin|syn|rst|ack) == 0 || flags&syn != 0 && flags&(fin|rst) != 0 {
		return "TCP flags"
	}
	return ""
}

// compare holds both programs against sane.
func (k *kernel) compare(frame []byte) {
	k.t.Helper()
	_, fault := sane(frame, true)
	if got := k.early(frame); (got.Verdict == "drop") != (fault != "") {
		k.t.Fatalf("XDP %+v, but %q: %x", got, fault, frame)
	}
	ip, fault := sane(frame, false)
	if len(frame) < 15 || ip && (len(frame) < 34 || frame[12] == 0x86 && len(frame) < 54) {
		return // the kernel makes no test packet of it
	}
	for _, got := range []outcome{k.arrive(k.lan, frame), k.leave(k.wan, frame)} {
		if (got.Reason == "malformed") != (fault != "") || fault != "" && got.Verdict != "drop" {
			k.t.Fatalf("TC %+v, but %q: %x", got, fault, frame)
		}
		if !ip && got != (outcome{Verdict: "next"}) {
			k.t.Fatalf("TC %+v, and it is not IP: %x", got, frame)
		}
	}
}

// open accepts everything, so that nothing but the shape drops.
const open = `{"from":"any","to":"any","action":"accept"},{"from":"SELF","to":"any","action":"accept"},{"from":"any","to":"SELF","action":"accept"}`

// FuzzParser runs frames through all programs: none may be taken that no wire
// can have carried, none refused that one can.
func FuzzParser(f *testing.F) {
	for _, frame := range whole(f) {
		f.Add(frame)
		f.Add(tagged(frame, 0x8100))
	}
	k := newKernel(f, 1024)
	k.apply(1, "", open)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 3000 {
			return
		}
		k.t = t
		k.compare(frame)
	})
}

// TestMutatedFrames is what the fuzzer would begin with, in every run.
func TestMutatedFrames(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", open)
	random := rand.New(rand.NewPCG(1, 2))
	for name, frame := range whole(t) {
		for range 400 {
			b := append([]byte(nil), frame...)
			for range 1 + random.IntN(3) {
				// Mostly headers, and there mostly single bits.
				at := 12 + random.IntN(min(len(b)-12, 60))
				if random.IntN(3) == 0 {
					b[at] = byte(random.UintN(256))
				} else {
					b[at] ^= 1 << random.UintN(8)
				}
			}
			if random.IntN(4) == 0 {
				b = b[:14+random.IntN(len(b)-14)]
			}
			k.compare(b)
			if t.Failed() {
				t.Fatal(name)
			}
		}
	}
}
