package detect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Giving up early changes no match: chains of contents and expressions are compared with the same
// ones tried to the end.
func TestChainsToTheEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	shortcuts := 0
	for range 4000 {
		var b strings.Builder
		fmt.Fprintf(&b, `content:"%s";`, pick("a", "b", "ab", "ba"))
		for range 1 + r.IntN(4) {
			switch r.IntN(6) {
			case 0:
				fmt.Fprintf(&b, ` pcre:"/%s/R";`, pick("b+a", "^b", `a.b`, `\bb`, `(?<=a)b`, `a$`, `[^b]b`))
			case 1:
				fmt.Fprintf(&b, ` isdataat:%s%d,relative;`, pick("", "!"), 1+r.IntN(4))
			default:
				fmt.Fprintf(&b, ` content:%s"%s";`, pick("", "", "", "!"), pick("a", "b", "ab", "c"))
				if r.IntN(3) > 0 {
					fmt.Fprintf(&b, ` distance:%d;`, r.IntN(4)-1)
				}
				if r.IntN(3) == 0 {
					fmt.Fprintf(&b, ` within:%d;`, 2+r.IntN(4))
				}
				if r.IntN(6) == 0 {
					b.WriteString(` endswith;`)
				}
			}
		}
		w := worker(t, `alert udp any any -> any any (`+b.String()+`)`)
		s := w.set.rules[0]
		for range 12 {
			data := make([]byte, r.IntN(14))
			for i := range data {
				data[i] = "aabbc "[r.IntN(6)]
			}
			p := s.payload[0]
			got := w.match(p, buffer{data: data, whole: true})
			plain := &program{steps: append([]step(nil), p.steps...)}
			for i := range plain.steps {
				if plain.steps[i].chain {
					shortcuts++
				}
				plain.steps[i].chain = false
			}
			if want := w.match(plain, buffer{data: data, whole: true}); got != want {
				t.Fatalf("%s in %q: %v, to the end %v", b.String(), data, got, want)
			}
		}
	}
	if shortcuts == 0 {
		t.Error("nothing was cut short")
	}
}
