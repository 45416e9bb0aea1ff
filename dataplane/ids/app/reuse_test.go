package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// pooled are the protocols whose parsers a Pool keeps.
var pooled = []rule.Protocol{tx.Proto("http1"), tx.Proto("tls"), tx.Proto("dns")}

// FuzzReuse holds a session that is used again to what a new one says, whatever was said
// in it before.
func FuzzReuse(f *testing.F) {
	for i, p := range pooled {
		for _, before := range pooled {
			a, b := samples[before.String()], samples[p.String()]
			f.Add(uint8(i), []byte(a[0]), []byte(a[1]), []byte(b[0]), []byte(b[1]), uint8(7))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, beforeClient, beforeServer, client, server []byte, cut uint8) {
		limits := Limits{HashFiles: which&8 != 0, Frames: which&16 != 0}
		speak := func(p *Pool, client, server []byte, end bool) string {
			s := p.Open(Flow{Over: OverTCP, ClientPort: 40000, ServerPort: 53, Limits: limits})
			for dir, data := range [2][]byte{client, server} {
				for n := max(1, int(cut)); len(data) > 0; data = data[min(n, len(data)):] {
					s.Feed(Direction(dir), data[:min(n, len(data))])
				}
				if end {
					s.Close(Direction(dir))
				}
			}
			said := dump(s)
			s.FreeDone(func(Transaction) bool { return true })
			p.Put(s)
			return said
		}
		want := speak(&Pool{}, client, server, true)
		var p Pool
		speak(&p, beforeClient, beforeServer, which&32 != 0)
		speak(&p, client, beforeServer, which&64 != 0)
		for range 2 {
			if diff := cmp.Diff(want, speak(&p, client, server, true)); diff != "" {
				t.Fatalf("used again it says otherwise (-new +again):\n%s", diff)
			}
		}
	})
}
