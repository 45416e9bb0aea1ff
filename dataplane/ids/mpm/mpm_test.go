package mpm

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ngfw.sh/dataplane/ids/rule"
)

// naive is what a search must give.
func naive(patterns []Pattern, data []byte) []int32 {
	var found []int32
	low := lower(data)
	for i, p := range patterns {
		d, b := data, p.Bytes
		if p.NoCase {
			d, b = low, lower(b)
		}
		if bytes.Contains(d, b) {
			found = append(found, int32(i))
		}
	}
	return found
}

func search(patterns []Pattern, data []byte, seed uint64) []int32 {
	s := Build(patterns, seed)
	var h Hits
	h.Reset(s)
	s.Scan(data, &h)
	slices.Sort(h.Numbers)
	return h.Numbers
}

func TestAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabets := []string{"ab", "aAbB@`", "\x00\x20\xff", "abcdefghijklmnop/:. \r\n"}
	text := func(n int, alphabet string) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return b
	}
	for round := range 400 {
		alphabet := alphabets[round%len(alphabets)]
		var patterns []Pattern
		n := 1 + r.IntN(40)
		if round%50 == 0 {
			n = 2000 // enough for the large bitmap
		}
		data := text(r.IntN(600), alphabet)
		for range n {
			p := text(1+r.IntN(12), alphabet)
			if len(data) > 20 && r.IntN(2) == 0 {
				at := r.IntN(len(data) - 16)
				p = bytes.Clone(data[at : at+1+r.IntN(16)])
			}
			patterns = append(patterns, Pattern{p, r.IntN(2) == 0})
		}
		got, want := search(patterns, data, r.Uint64()), naive(patterns, data)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: %v, want %v\n%v in %q", round, got, want, patterns, data)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("abc\x00Host: \x01\x00"), []byte("xxabcHOST: "), uint64(7))
	f.Fuzz(func(t *testing.T, list, data []byte, seed uint64) {
		var patterns []Pattern
		for i, p := range bytes.Split(list, []byte{0}) {
			if len(p) > 0 {
				patterns = append(patterns, Pattern{p, i%2 == 0})
			}
		}
		if got, want := search(patterns, data, seed), naive(patterns, data); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// openPatterns are the fast patterns of the open rules, or what is like them.
func openPatterns(tb testing.TB, n int) []Pattern {
	suite := os.Getenv("NGFW_IDS_SUITE")
	if suite == "" {
		suite = "../shared/ids-suite"
	}
	if !filepath.IsAbs(suite) {
		suite = filepath.Join("../../..", suite) // from the repository's top
	}
	text, err := os.ReadFile(filepath.Join(suite, "et-open.rules"))
	if err != nil {
		tb.Skip("no rules: ", err)
	}
	set := rule.Load([]rule.File{{Name: "et-open.rules", Text: string(text)}}, rule.DefaultConfig())
	var patterns []Pattern
	seen := map[string]bool{}
	for _, r := range set.Rules {
		if c, b := r.FastContent(); c != nil && !seen[string(b)] && len(patterns) < n {
			seen[string(b)] = true
			patterns = append(patterns, Pattern{b, c.Is(rule.NoCase)})
		}
	}
	return patterns
}

func BenchmarkBuild(b *testing.B) {
	patterns := openPatterns(b, 100000)
	b.ReportMetric(float64(len(patterns)), "patterns")
	for b.Loop() {
		Build(patterns, 3)
	}
}

func BenchmarkScan(b *testing.B) {
	patterns := openPatterns(b, 10000)
	s := Build(patterns, 3)
	r := rand.New(rand.NewPCG(1, 2))
	web := bytes.Repeat([]byte(sample), 20)
	random := make([]byte, 64<<10)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	// What a hostile sender would send: a pattern but for its last byte, the pieces that
	// most patterns are known by, and one byte repeated.
	var near, worst []byte
	for len(near) < 64<<10 {
		p := patterns[r.IntN(len(patterns))].Bytes
		near = append(near, p[:len(p)-1]...)
	}
	most := slot{}
	for _, x := range s.four.slots {
		if x.n > most.n {
			most = x
		}
	}
	for len(worst) < 64<<10 {
		worst = append(worst, byte(most.key), byte(most.key>>8), byte(most.key>>16), byte(most.key>>24))
	}
	b.Logf("%d patterns, %d KB, longest list %d", s.Len(), s.Bytes()>>10, most.n)
	for _, c := range []struct {
		name string
		data []byte
	}{{"web", web}, {"random", random}, {"near", near}, {"worst", worst}, {"zero", make([]byte, 64<<10)}, {"a", bytes.Repeat([]byte("a"), 64<<10)}} {
		b.Run(c.name, func(b *testing.B) {
			var h Hits
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			h.Reset(s)
			for b.Loop() {
				h.Reset(s)
				s.Scan(c.data, &h)
			}
		})
	}
}
