//go:build !race

// The oracle is C turned into Go; its pointers do not stand up to what the race detector checks.

package regex

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.elara.ws/pcre"

	"ngfw.sh/dataplane/ids/rule"
)

// oracle compiles an expression with PCRE2 itself; nil: it refuses it.
func oracle(expression string, flags Flags) *pcre.Regexp {
	var o pcre.CompileOption
	for _, f := range []struct {
		is Flags
		of pcre.CompileOption
	}{{Caseless, pcre.Caseless}, {Multiline, pcre.Multiline}, {DotAll, pcre.DotAll}, {Extended, pcre.Extended},
		{Anchored, pcre.Anchored}, {DollarEnd, pcre.DollarEndOnly}, {Ungreedy, pcre.Ungreedy}} {
		if flags&f.is != 0 {
			o |= f.of
		}
	}
	re, err := pcre.CompileOpts(expression, o)
	if err != nil {
		return nil
	}
	return re
}

// agree matches with both. What one of them gives up on is no disagreement.
func agree(t *testing.T, m *Matcher, re *Regex, o *pcre.Regexp, subject []byte) {
	t.Helper()
	if len(subject) == 0 {
		return // the oracle takes no empty subjects
	}
	want := oracleMatch(o, subject)
	// The oracle's library passes over empty matches.
	found := false
	for from := 0; from < len(subject); {
		if found = m.Match(re, subject, from); m.Limited() {
			return
		}
		if !found {
			break
		}
		a, b := m.Group(0)
		if a != b {
			break
		}
		found, from = false, b+1
	}
	var got []int
	if found {
		for n := 0; n <= re.Groups(); n++ {
			a, b := m.Group(n)
			got = append(got, a, b)
		}
	}
	if (want == nil) != (got == nil) || want != nil && !slices.Equal(trimmed(got), trimmed(want)) {
		t.Fatalf("/%s/ in %q: %v, PCRE %v", o.String(), subject, got, want)
	}
}

// oracleMatch is what PCRE finds; the library panics where PCRE meets a limit.
func oracleMatch(o *pcre.Regexp, subject []byte) (want []int) {
	defer func() {
		if recover() != nil {
			want = nil
		}
	}()
	return o.FindSubmatchIndex(bytes.Clone(subject))
}

// trimmed leaves groups out that matched nothing at the end, which PCRE does not count.
func trimmed(groups []int) []int {
	for len(groups) > 2 && groups[len(groups)-1] <= 0 && groups[len(groups)-2] <= 0 {
		groups = groups[:len(groups)-2]
	}
	for i, x := range groups {
		if x < 0 {
			groups[i] = 0
		}
	}
	return groups
}

// derive makes a subject that an expression may match: its literal text, with what its
// operators mean filled in now and then.
func derive(r *rand.Rand, expression string) []byte {
	var b []byte
	if r.IntN(2) == 0 {
		b = append(b, "xX 1\n"[r.IntN(5)])
	}
	pick := func(s string) byte { return s[r.IntN(len(s))] }
	for i := 0; i < len(expression); i++ {
		c := expression[i]
		switch c {
		case '\\':
			if i++; i == len(expression) {
				break
			}
			switch e := expression[i]; e {
			case 'd':
				b = append(b, pick("0159"))
			case 's':
				b = append(b, pick(" \t\r\n"))
			case 'w':
				b = append(b, pick("aZ_9"))
			case 'x':
				if i+2 < len(expression) {
					var v byte
					if _, err := fmt.Sscanf(expression[i+1:i+3], "%02x", &v); err == nil {
						b = append(b, v)
						i += 2
					}
				}
			case 'r':
				b = append(b, '\r')
			case 'n':
				b = append(b, '\n')
			case 'D', 'W', 'S', 'b', 'B', 'A', 'z', 'Z':
				b = append(b, pick("a -"))
			default:
				b = append(b, e)
			}
		case '[':
			end := classEnd(expression[i:])
			inner := expression[i+1 : i+end]
			if strings.HasPrefix(inner, "^") || inner == "" {
				b = append(b, pick("aZ5 ~"))
			} else {
				b = append(b, inner[r.IntN(len(inner))])
			}
			i += end
		case '(', ')', '?', '^', '$', ':':
			if c == ':' {
				b = append(b, c)
			}
		case '{':
			n, rest := 0, expression[i+1:]
			for len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' && n < 100 {
				n, rest = n*10+int(rest[0]-'0'), rest[1:]
			}
			if len(b) > 0 {
				for range min(max(n-1, 0), 300) {
					b = append(b, b[len(b)-1])
				}
			}
			if end := strings.IndexByte(expression[i:], '}'); end > 0 {
				i += end
			}
		case '+', '*':
			if len(b) > 0 {
				for range r.IntN(3) {
					b = append(b, b[len(b)-1])
				}
			}
		case '|':
			if r.IntN(2) == 0 {
				return b
			}
			b = b[:0]
		case '.':
			b = append(b, pick("a.\n/"))
		default:
			b = append(b, c)
		}
	}
	if r.IntN(3) == 0 && len(b) > 0 {
		b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
	}
	return b
}

func classEnd(s string) int {
	for i := 2; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		} else if s[i] == ']' {
			return i
		}
	}
	return len(s) - 1
}

// The expressions of the open rules match as PCRE has it.
func TestOpenRulesAgainstPCRE(t *testing.T) {
	dir := os.Getenv("NGFW_IDS_SUITE")
	if dir == "" {
		dir = "../shared/ids-suite"
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../../..", dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "et-open.rules"))
	if err != nil {
		t.Skip("NO SUITE, NOT TESTED: ", err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	m := NewMatcher(DefaultLimits())
	compared, matches := 0, 0
	seen := map[string]bool{}
	set := rule.Load([]rule.File{{Name: "et-open.rules", Text: string(text)}}, rule.DefaultConfig())
	for _, x := range set.Rules {
		for i := range x.Buffers {
			for _, match := range x.Buffers[i].Matches {
				e, ok := match.(*rule.PCRE)
				if !ok || seen[e.Expression] {
					continue
				}
				seen[e.Expression] = true
				var flags Flags
				if e.Is(rule.PCRECaseless) {
					flags |= Caseless
				}
				if e.Is(rule.PCREDotAll) {
					flags |= DotAll
				}
				if e.Is(rule.PCREMultiline) {
					flags |= Multiline
				}
				o := oracle(e.Expression, flags)
				re, err := Compile(e.Expression, flags)
				if (o == nil) != (err != nil) {
					t.Errorf("/%s/: %v; PCRE accepts: %v", e.Expression, err, o != nil)
				}
				if o == nil || err != nil {
					continue
				}
				for range 6 {
					s := derive(r, e.Expression)
					agree(t, m, re, o, s)
					compared++
					if m.Match(re, s, 0) {
						matches++
					}
				}
			}
		}
	}
	t.Logf("%d expressions, %d subjects, %d matches", len(seen), compared, matches)
	if matches < compared/20 {
		t.Errorf("only %d of %d subjects match: they test little", matches, compared)
	}
}

// invent makes an expression by chance.
func invent(r *rand.Rand, depth int) string {
	atoms := []string{"a", "b", "c", "1", ".", `\d`, `\w`, `\s`, "[ab]", "[^a]", "[a-c1]", `\b`, "^", "$", `\B`, "ab", "abc", `\x61`, "[[:alpha:]]", `\A`, `\z`, `\Z`, `\1`}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		a := atoms[r.IntN(len(atoms))]
		if depth > 0 && r.IntN(3) == 0 {
			open := []string{"(", "(?:", "(?>", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?|"}[r.IntN(9)]
			a = open + invent(r, depth-1) + ")"
		}
		b.WriteString(a)
		if r.IntN(3) == 0 && a != "^" && a != "$" && !strings.HasPrefix(a, `\b`) && !strings.HasPrefix(a, "(?=") && !strings.HasPrefix(a, "(?!") && !strings.HasPrefix(a, "(?<") && a[0] != '\\' {
			b.WriteString([]string{"*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"}[r.IntN(7)])
			b.WriteString([]string{"", "", "?", "+"}[r.IntN(4)])
		}
		if r.IntN(6) == 0 {
			b.WriteByte('|')
		}
	}
	return b.String()
}

func TestInventedAgainstPCRE(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	m := NewMatcher(Limits{Tries: 1 << 30, Depth: 1 << 30})
	compared := 0
	for range 6000 {
		e := invent(r, 3)
		flags := Flags(r.IntN(128))
		if r.IntN(2) == 0 {
			flags = 0
		}
		o := oracle(e, flags)
		re, err := Compile(e, flags)
		if o == nil {
			continue // what PCRE refuses may be accepted
		}
		if err != nil {
			if !strings.Contains(err.Error(), "fixed length") && !strings.Contains(err.Error(), "no such group") {
				t.Errorf("/%s/ is refused: %v", e, err)
			}
			continue
		}
		for range 8 {
			s := make([]byte, 1+r.IntN(12))
			for i := range s {
				s[i] = "aabbcA1 \n"[r.IntN(9)]
			}
			agree(t, m, re, o, s)
			compared++
		}
	}
	t.Logf("%d comparisons", compared)
}
