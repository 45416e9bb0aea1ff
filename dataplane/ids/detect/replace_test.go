package detect

import (
	"fmt"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/app"
)

func TestReplacements(t *testing.T) {
	w := worker(t, `(content:"abc"; replace:"xyz"; content:"def"; distance:0; sid:1;)`, `(content:"abc"; replace:"123"; content:"nothere"; distance:0; sid:2;)`)
	in := &Input{Packet: tcp("abc abc def"), Flow: flow(t, ""), InStream: true, Stream: []byte("abc abc def")}
	if got := w.sids(in); got != "1" {
		t.Fatalf("alerts: %s", got)
	}
	if got := fmt.Sprint(w.Replacements()); got != "[{0 [120 121 122]}]" {
		t.Errorf("replacements: %s", got)
	}
	in.Packet = tcp("abc")
	if w.sids(in); len(w.Replacements()) != 0 {
		t.Errorf("replacements of no match: %v", w.Replacements())
	}
}

func TestMagic(t *testing.T) {
	pe := make([]byte, 256)
	copy(pe, "MZ")
	pe[60] = 128
	copy(pe[128:], "PE\x00\x00")
	pe[128+24], pe[128+25] = 0x0b, 0x01
	for _, c := range []struct{ data, want string }{
		{"%PDF-1.4 ...", "PDF document, version 1.4"}, {string(pe), "PE32 executable (GUI)"}, {"MZ" + strings.Repeat("x", 100), "MS-DOS executable"},
		{"PK\x03\x04...", "Zip archive data"}, {"  <HTML><body>", "HTML document"}, {"plain text\n", "ASCII text"}, {"\x00\x01\x02", "data"}, {"", ""},
	} {
		got := string(magic(&app.File{Data: []byte(c.data), State: app.FileClosed}))
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q is %q, want %q", c.data, got, c.want)
		}
	}
	w := worker(t, `alert http any any -> any any (filemagic:"PDF document"; sid:1;)`, `alert http any any -> any any (file.magic; content:"PE32"; startswith; sid:2;)`, `alert http any any -> any any (filemagic:!"PDF"; filename:"b"; sid:3;)`)
	files := []*app.File{{Name: "a", Data: []byte("%PDF-1.4 x"), Size: 10, State: app.FileClosed}, {Name: "b", Data: pe, Size: 256, State: app.FileClosed}}
	tx := &fakeTx{files: [2][]*app.File{files}, complete: [2]bool{true, true}}
	if got := w.sids(&Input{Packet: tcp(""), Flow: flow(t, "http1"), Transactions: []app.Transaction{tx}}); got != "1 2 3" {
		t.Errorf("alerts: %s", got)
	}
}
