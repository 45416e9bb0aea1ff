package hello

import "testing"

func TestFingerprints(t *testing.T) {
	c := &Client{
		Version: 0x0303, Ciphers: []uint16{0x0a0a, 0x1301, 0xc02b}, Extensions: []uint16{0x2a2a, 0, 10, 11, 16, 13}, Groups: []uint16{0x1a1a, 29},
		Formats: []uint8{0}, ALPN: [][]byte{[]byte("h2")}, Versions: []uint16{0x3a3a, 0x0304, 0x0303}, Signatures: []uint16{0x0403},
	}
	if got, want := string(c.JA3(nil)), "771,4865-49195,0-10-11-16-13,29,0"; got != want {
		t.Errorf("JA3 %s, want %s", got, want)
	}
	// Sorted, without GREASE, SNI and ALPN: 1301,c02b and 000a,000b,000d_0403.
	if got, want := string(c.JA4(false)), "t13d0205h2_"+short("1301,c02b", false)+"_"+short("000a,000b,000d_0403", false); got != want {
		t.Errorf("JA4 %s, want %s", got, want)
	}
	s := &Server{Version: 0x0303, Cipher: 0x1301, Extensions: []uint16{51, 43}}
	if got, want := string(s.JA3S(nil)), "771,4865,51-43"; got != want {
		t.Errorf("JA3S %s, want %s", got, want)
	}
	if got, want := string(MD5(nil, []byte("a"))), "0cc175b9c0f1b6a831c399e269772661"; got != want {
		t.Errorf("MD5 %s, want %s", got, want)
	}
}

func TestServerNames(t *testing.T) {
	hello := func(exts string) []byte {
		b := "\x03\x03" + string(make([]byte, 32)) + "\x00\x00\x02\x13\x01\x01\x00" + string([]byte{byte(len(exts) >> 8), byte(len(exts))}) + exts
		return []byte(b)
	}
	const name = "\x00\x00\x00\x08\x00\x06\x00\x00\x03a.b"
	h, ok := ParseClient(hello(name))
	if !ok || string(h.SNI) != "a.b" || len(h.Odd) != 0 {
		t.Errorf("SNI %q, odd %v, whole %v", h.SNI, h.Odd, ok)
	}
	if h, _ := ParseClient(hello(name + name)); len(h.Odd) != 1 || h.Odd[0] != "multiple_sni_extensions" {
		t.Errorf("twice: odd %v", h.Odd)
	}
	if _, ok := ParseClient(hello(name)[:50]); ok {
		t.Error("a hello that is cut is whole")
	}
}
