package regex

import (
	"bytes"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		expression string
		flags      Flags
		subject    string
		from       int
		want       string // the match, "-" for none
	}{
		{`abc`, 0, "xxabcxx", 0, "abc"},
		{`abc`, 0, "xxabxx", 0, "-"},
		{`ABC`, Caseless, "xxaBcxx", 0, "aBc"},
		{`a.c`, 0, "a\nc abc", 0, "abc"},
		{`a.c`, DotAll, "a\nc abc", 0, "a\nc"},
		{`^b`, 0, "a\nb", 0, "-"},
		{`^b`, Multiline, "a\nb", 0, "b"},
		{`b$`, 0, "ab\n", 0, "b"},
		{`b$`, DollarEnd, "ab\n", 0, "-"},
		{`b$`, Multiline, "ab\ncd", 0, "b"},
		{`a+`, 0, "baaac", 0, "aaa"},
		{`a+?`, 0, "baaac", 0, "a"},
		{`a+`, Ungreedy, "baaac", 0, "a"},
		{`a++a`, 0, "aaaa", 0, "-"},
		{`(a|ab)(c|bcd)(d*)`, 0, "abcd", 0, "abcd"},
		{`(?>a|ab)c`, 0, "abc", 0, "-"},
		{`(\w+)\s\1`, 0, "say hello hello", 0, "hello hello"},
		{`(\w)\1`, Caseless, "xaA", 0, "aA"},
		{`(?<q>['"]).*?\k<q>`, 0, `x'a"b'c`, 0, `'a"b'`},
		{`(?P<q>x)y(?P=q)`, 0, "xyx", 0, "xyx"},
		{`foo(?=bar)`, 0, "foofoobar", 0, "foo"},
		{`foo(?!bar).`, 0, "foobarfoox", 0, "foox"},
		{`(?<=\d{3})x`, 0, "12x123x", 0, "x"},
		{`(?<!a)b`, 0, "abxb", 0, "b"},
		{`(?<=a|bc)d`, 0, "xdbcd", 0, "d"},
		{`\x41\x{42}\103`, 0, "ABC", 0, "ABC"},
		{`\xff[\x80-\x90]`, 0, "\xff\x85", 0, "\xff\x85"},
		{`[^a]`, Caseless, "Aab", 0, "b"},
		{`[[:digit:]a-c]+`, 0, "zb12c", 0, "b12c"},
		{`[]a]+`, 0, "x]a", 0, "]a"},
		{`a{2,3}`, 0, "aaaa", 0, "aaa"},
		{`a{2}`, 0, "aaaa", 0, "aa"},
		{`a{,3}`, 0, "a{,3}", 0, "a{,3}"},
		{`(ab){2,}`, 0, "ababab", 0, "ababab"},
		{`(a*)*b`, 0, "aaab", 0, "aaab"},
		{`(a*)+`, 0, "b", 0, ""},
		{`(?i)a(?-i)b`, 0, "Ab", 0, "Ab"},
		{`(?i:a)b`, 0, "AB", 0, "-"},
		{`a (?#no) b # c`, Extended, "ab", 0, "ab"},
		{`\Qa.b\E+`, 0, "a.bbb", 0, "a.bbb"},
		{`\bfoo\b`, 0, "afoo foo", 0, "foo"},
		{`a`, Anchored, "ba", 0, "-"},
		{`a`, Anchored, "ba", 1, "a"},
		{`^a`, 0, "ba", 1, "-"},
		{`(?<=b)a`, 0, "ba", 1, "a"},
		{`a\Kb`, 0, "ab", 0, "b"},
		{`(a)?(?(1)b|c)`, 0, "c", 0, "c"},
		{`(a)?(?(1)b|c)`, 0, "ab", 0, "ab"},
		{`(?(?=a)ab|cd)`, 0, "xcd", 0, "cd"},
		{`(?|(a)|(b))\1`, 0, "bb", 0, "bb"},
		{`x\Rz`, 0, "x\r\nz", 0, "x\r\nz"},
		{`a|`, 0, "b", 0, ""},
		{`(?:(?=(\w+))\1:)`, 0, "ab:", 0, "ab:"},
		{`[\w-]+`, 0, "a-b", 0, "a-b"},
		{`[a\-z]+`, 0, "m-", 0, "-"},
		{`(?s).*b`, 0, "a\nb", 0, "a\nb"},
		{`(\d+)-(?:\d+-){3}`, 0, "1-2-3-4-", 0, "1-2-3-4-"},
		{`(?:ab|a)(?:bc|c)$`, 0, "abc", 0, "abc"},
	} {
		re, err := Compile(c.expression, c.flags)
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
			continue
		}
		m := NewMatcher(DefaultLimits())
		got := "-"
		if m.Match(re, []byte(c.subject), c.from) {
			a, b := m.Group(0)
			got = c.subject[a:b]
		}
		if got != c.want {
			t.Errorf("/%s/ in %q from %d: %q, want %q", c.expression, c.subject, c.from, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, e := range []string{`(?R)`, `(?1)(a)`, `\p{L}`, `a(`, `a)`, `[a`, `(?<=a*)b`, `\2(a)`, `*a`, `(?C1)`, `(*FAIL)`, `[b-a]`, `\y`, `\x{100}`} {
		if _, err := Compile(e, 0); err == nil {
			t.Errorf("%s is accepted", e)
		}
	}
}

func TestIndexFold(t *testing.T) {
	for _, c := range []struct{ s, sub string }{
		{"Hello World", "world"}, {"aAaAb", "aab"}, {"xx", "xxx"}, {"a-B-c", "-b-"}, {"", "a"}, {"QQQqz", "qz"}, {"zzZ", "zzz"},
	} {
		want := bytes.Index(bytes.ToLower([]byte(c.s)), []byte(c.sub))
		if got := IndexFold([]byte(c.s), []byte(c.sub)); got != want {
			t.Errorf("%q in %q: %d, want %d", c.sub, c.s, got, want)
		}
	}
}

// Expressions that take exponential or cubic time without limits.
func TestHostile(t *testing.T) {
	a := bytes.Repeat([]byte("a"), 20000)
	for _, e := range []string{`(a+)+b`, `(a|a)*b`, `(a*)*b`, `(?:a?){50}a{50}b`, `(.*)(.*)(.*)(.*)[0-9]`, `(?=(a+))*b`, `((a{1,100}){1,100}){1,100}b`, `a.*a.*a.*a.*[xX]\d`, `(?:(?:aa)|(?:a))+c\d`} {
		re, err := Compile(e, 0)
		if err != nil {
			t.Fatal(e, err)
		}
		for _, none := range []bool{false, true} {
			m := NewMatcher(DefaultLimits())
			m.NoLimits = none
			if m.Match(re, append(a, 'x'), 0) {
				t.Errorf("%s matches", e)
			}
			if spent := stepsFixed + stepsPerByte*len(a) + 100; m.steps < -spent {
				t.Errorf("%s takes %d steps beyond its bound", e, -m.steps)
			}
		}
	}
}

func TestNoAllocation(t *testing.T) {
	re, err := Compile(`(?:a|b)+(\d{2,4})(?=x)\1?`, Caseless)
	if err != nil {
		t.Fatal(err)
	}
	m := NewMatcher(DefaultLimits())
	s := []byte("zzzABab123x abab99y")
	m.Match(re, s, 0)
	if n := testing.AllocsPerRun(100, func() { m.Match(re, s, 0) }); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
}
