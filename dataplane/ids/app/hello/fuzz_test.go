package hello

import "testing"

// FuzzHello reads whatever a hello may be, in what another was kept in, too: it is the same.
func FuzzHello(f *testing.F) {
	f.Add([]byte("\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x00\x02\x13\x01\x01\x00\x00\x0e\x00\x10\x00\x05\x00\x03\x02h2\x00\x0d\x00\x01\x00"), []byte("\x03\x03"))
	f.Add([]byte("\x03\x03rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr\x00\x13\x01\x00\x00\x06\x00\x2b\x00\x02\x03\x04"), []byte{})
	f.Fuzz(func(t *testing.T, b, before []byte) {
		c, ok := ParseClient(b)
		again := &Client{}
		again.Parse(before)
		if again.Parse(b) != ok || string(again.JA3(nil)) != string(c.JA3(nil)) || string(again.JA4(false)) != string(c.JA4(false)) || string(again.SNI) != string(c.SNI) {
			t.Error("a client's hello is another the second time")
		}
		s, ok := ParseServer(b)
		second := &Server{}
		second.Parse(before)
		if second.Parse(b) != ok || string(second.JA3S(nil)) != string(s.JA3S(nil)) || second.Selected != s.Selected {
			t.Error("a server's hello is another the second time")
		}
	})
}
