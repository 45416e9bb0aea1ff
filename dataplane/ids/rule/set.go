package rule

import (
	"slices"
	"strings"
)

// File is the text of a file of rules.
type File struct {
	Name string // for errors
	Text string
}

// Set is what came of loading files of rules.
type Set struct {
	Files []string // names, for Rule.File
	// Rules are in force, in the order of the text.
	Rules []*Rule
	// Skipped rules ask for what is not here (Rule.Unmet). That is no error.
	Skipped []*Rule
	// Disabled rules are commented out, and would be accepted.
	Disabled []*Rule
	// Superseded rules have a later revision among Rules.
	Superseded []*Rule
	// Refused says what is wrong with all others.
	Refused []*Error
}

// Load parses files. What is wrong with one rule costs that rule alone. Of
// rules with the same gid and sid the one with the highest revision counts;
// another of the same revision is refused.
func Load(files []File, cfg Config) *Set {
	l := loader{set: &Set{}, parser: &NewParser(cfg).p, seen: map[uint64]int{}}
	for i, f := range files {
		l.set.Files = append(l.set.Files, f.Name)
		l.file(i, f)
	}
	l.set.Rules = slices.DeleteFunc(l.set.Rules, func(r *Rule) bool { return r == nil })
	return l.set
}

type loader struct {
	set    *Set
	parser *parser
	seen   map[uint64]int // gid and sid → index in set.Rules
}

func (l *loader) file(index int, f File) {
	for line, rest := 0, f.Text; rest != ""; {
		first := line + 1
		var whole string
		var n int
		whole, rest, n = logicalLine(rest)
		line += n
		if trim(whole) == "" {
			continue
		}
		if isComment(whole) {
			l.comment(index, first, whole)
			continue
		}
		joined, lines := join(whole)
		r, err := l.parser.parse(joined, first)
		if err != nil {
			l.refuse(f.Name, first, lines, err)
			continue
		}
		r.File = index
		l.add(f.Name, r)
	}
}

// logicalLine cuts a line off, with those that a backslash at the end continues
// it by, n in all. Comments are not continued.
func logicalLine(s string) (line, rest string, n int) {
	end := 0
	for {
		n++
		i := strings.IndexByte(s[end:], '\n')
		if i < 0 {
			return s, "", n
		}
		last := strings.TrimRight(s[end:end+i], " \t\r")
		end += i + 1
		if !strings.HasSuffix(last, `\`) || n == 1 && isComment(last) || end == len(s) {
			return s[:end-1], s[end:], n
		}
	}
}

func isComment(s string) bool {
	s, _ = skipSpace(s, 0)
	return len(s) > 0 && (s[0] == '#' || s[0] == ';')
}

// comment recognises a rule that is commented out.
func (l *loader) comment(index, line int, text string) {
	text = strings.TrimLeft(text, "# \t;")
	action, _ := word(text)
	if _, ok := parseAction(action); !ok || !strings.HasSuffix(trim(text), ")") {
		return
	}
	if r, err := l.parser.parse(text, line); err == nil {
		r.File = index
		l.set.Disabled = append(l.set.Disabled, r)
	}
}

func (l *loader) refuse(name string, line int, lines []int, err error) {
	var e *Error
	if e, _ = locatedIn(name, line, lines, l.parser.sid(), err).(*Error); e != nil {
		l.set.Refused = append(l.set.Refused, e)
	}
}

func (l *loader) add(name string, r *Rule) {
	if r.Unmet != "" {
		l.set.Skipped = append(l.set.Skipped, r)
		return
	}
	key := uint64(r.GID)<<32 | uint64(r.SID)
	at, again := l.seen[key]
	if !again {
		l.seen[key] = len(l.set.Rules)
		l.set.Rules = append(l.set.Rules, r)
		return
	}
	switch other := l.set.Rules[at]; {
	case r.Revision > other.Revision:
		l.set.Superseded = append(l.set.Superseded, other)
		l.set.Rules[at] = nil
		l.seen[key] = len(l.set.Rules)
		l.set.Rules = append(l.set.Rules, r)
	case r.Revision < other.Revision:
		l.set.Superseded = append(l.set.Superseded, r)
	default:
		l.refuse(name, r.Line, nil, faultf(0, "gid %d, sid %d and revision %d are already those of the rule at %s:%d",
			r.GID, r.SID, r.Revision, l.set.Files[other.File], other.Line))
	}
}
