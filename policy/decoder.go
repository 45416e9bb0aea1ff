package policy

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"slices"
	"unicode/utf8"
)

// Decoder decodes policies and remembers the rules of the last one with their
// text, so that a large document of which little has changed is read quickly. It
// answers as the function Decode does; what is not plainly right is left to that.
// The zero value remembers nothing. It keeps the last document, which nobody may
// change, and is not safe for concurrent use.
type Decoder struct {
	seed  maphash.Seed
	texts [][]byte       // of the rules
	rules []Rule         // by text
	at    map[uint64]int // of a text's hash
}

// Decode is as the function.
func (d *Decoder) Decode(data []byte) (Policy, error) {
	start, end, texts, found := ruleTexts(data)
	if p, ok := d.decode(data, start, end, texts); found && ok {
		return p, nil
	}
	p, err := Decode(data)
	if err != nil || !found || len(p.Rules) != len(texts) {
		return p, err
	}
	d.remember(texts, p.Rules)
	return p, nil
}

// decode decodes the document without its rules, then the rules that are new.
// False: it has not, for whatever reason.
func (d *Decoder) decode(data []byte, start, end int, texts [][]byte) (p Policy, ok bool) {
	if len(d.rules) == 0 || len(texts) == 0 || !utf8.Valid(data) {
		return p, false
	}
	p, err := Decode(slices.Concat(data[:start], data[end:]))
	if err != nil {
		return p, false
	}
	found := new(findings)
	p.Rules = make([]Rule, len(texts))
	for i, text := range texts {
		if n, known := d.at[maphash.Bytes(d.seed, text)]; known && bytes.Equal(d.texts[n], text) {
			p.Rules[i] = d.rules[n]
			p.Rules[i].ICMPTypes, p.Rules[i].Schedule.Days = slices.Clone(d.rules[n].ICMPTypes), slices.Clone(d.rules[n].Schedule.Days)
			continue
		}
		if !json.Valid(text) {
			return p, false
		}
		v, err := newParser(text).value(2) // in a list in an object
		if err != nil {
			return p, false
		}
		p.Rules[i] = decoder{found: found}.rule("", v)
		if found.err() != nil {
			return p, false
		}
	}
	d.remember(texts, p.Rules)
	return p, true
}

func (d *Decoder) remember(texts [][]byte, rules []Rule) {
	if d.at == nil {
		d.seed = maphash.MakeSeed()
	}
	d.texts, d.rules, d.at = texts, make([]Rule, len(rules)), make(map[uint64]int, len(rules))
	for i, r := range rules {
		r.ICMPTypes, r.Schedule.Days = slices.Clone(r.ICMPTypes), slices.Clone(r.Schedule.Days)
		d.rules[i] = r
		d.at[maphash.Bytes(d.seed, texts[i])] = i
	}
}

// ruleTexts finds the elements of the list "rules" in a document, and where the
// list's inside begins and ends. What it takes for an element of a document that
// is no JSON may be none either.
func ruleTexts(data []byte) (start, end int, texts [][]byte, ok bool) {
	i := skipSpace(data, 0)
	if !is(data, i, '{') {
		return 0, 0, nil, false
	}
	for i = skipSpace(data, i+1); is(data, i, '"'); {
		key := i
		if i = skipValue(data, i); i < 0 {
			return 0, 0, nil, false
		}
		name := data[key:i]
		if i = skipSpace(data, i); !is(data, i, ':') {
			return 0, 0, nil, false
		}
		i = skipSpace(data, i+1)
		if string(name) == `"rules"` && is(data, i, '[') {
			start = i + 1
			end, texts, ok = elements(data, start)
			return start, end, texts, ok
		}
		if i = skipValue(data, i); i < 0 {
			return 0, 0, nil, false
		}
		if i = skipSpace(data, i); is(data, i, ',') {
			i = skipSpace(data, i+1)
		}
	}
	return 0, 0, nil, false
}

// elements gives those of a list, from behind its bracket to before the other.
func elements(data []byte, i int) (end int, texts [][]byte, ok bool) {
	for i = skipSpace(data, i); i < len(data); {
		if data[i] == ']' && len(texts) == 0 {
			return i, nil, true
		}
		from := i
		if i = skipValue(data, i); i < 0 {
			return 0, nil, false
		}
		texts = append(texts, data[from:i:i])
		i = skipSpace(data, i)
		switch {
		case is(data, i, ']'):
			return i, texts, true
		case !is(data, i, ','):
			return 0, nil, false
		}
		i = skipSpace(data, i+1)
	}
	return 0, nil, false
}

func is(data []byte, i int, c byte) bool { return i < len(data) && data[i] == c }

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipValue gives where a value ends, -1 where it does not.
func skipValue(data []byte, i int) int {
	depth, from := 0, i
	for i < len(data) {
		switch data[i] {
		case '"':
			if i = skipText(data, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r', ':':
			if depth == 0 {
				if i == from {
					return -1
				}
				return i
			}
		}
		i++
	}
	if depth > 0 {
		return -1
	}
	return i
}

func skipText(data []byte, i int) int {
	for i++; i < len(data); {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		back := bytes.IndexByte(data[i:i+n], '\\')
		if back < 0 {
			return i + n + 1
		}
		i += back + 2
	}
	return -1
}
