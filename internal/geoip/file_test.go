package geoip

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFileIsReadAgainWhenReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	now := time.Unix(1000, 0)
	reads := 0
	f := NewFile(path, func(path string) (*string, error) {
		reads++
		data, err := os.ReadFile(path)
		text := string(data)
		if text == "broken" {
			return nil, errors.New("broken")
		}
		return &text, err
	})
	f.now = func() time.Time { return now }
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string, failed bool) {
		t.Helper()
		got := "nothing"
		if p := f.Get(); p != nil {
			got = *p
		}
		if got != want || (f.Err() != nil) != failed {
			t.Errorf("%q, %v; want %q", got, f.Err(), want)
		}
	}
	expect("nothing", true)
	write("one")
	expect("nothing", true) // not looked for again yet
	now = now.Add(fileCheck)
	expect("one", false)
	now = now.Add(fileCheck)
	expect("one", false)
	if reads != 1 {
		t.Errorf("%d reads of a file that did not change", reads)
	}
	write("broken")
	now = now.Add(fileCheck)
	expect("one", true)
	write("two!")
	now = now.Add(fileCheck)
	expect("two!", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(fileCheck)
	expect("two!", true)

	if NewFile("", func(string) (*string, error) { panic("read") }).Get() != nil {
		t.Error("no file tells something")
	}
}

func TestOuter(t *testing.T) {
	in, out := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		from, to string
		src, dst netip.Addr
		want     netip.Addr
	}{
		{"LAN", "WAN", in, out, out}, {"WAN", "LAN", out, in, out}, {"SELF", "WAN", in, out, out}, {"WAN", "SELF", out, in, out},
		{"LAN", "IOT", in, in, netip.Addr{}}, {"WAN", "WAN", in, out, out},
	} {
		if got, ok := Outer(tt.from, tt.to, tt.src, tt.dst); got != tt.want || ok != tt.want.IsValid() {
			t.Errorf("%s to %s: %v", tt.from, tt.to, got)
		}
	}
}
