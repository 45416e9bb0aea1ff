package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"ngfw.sh/internal/fault"
)

// maxDepth bounds nesting; the deepest shape of a policy needs five levels.
const maxDepth = 32

// object is a JSON object as written: encoding/json's own decoding into structs
// would accept a key twice and in any letter case, and stop at the first error.
type object struct {
	members []member       // in order, without repeats: the last value of a key holds
	at      map[string]int // of large ones
	twice   []string       // keys that came more than once
}

type member struct {
	key   string
	value any
	asked bool // the shape has such a member
}

// searchedMembers are walked; what has more is looked up.
const searchedMembers = 24

// find gives a member's place.
func (o *object) find(key string) (int, bool) {
	if o.at != nil {
		i, ok := o.at[key]
		return i, ok
	}
	for i := range o.members {
		if o.members[i].key == key {
			return i, true
		}
	}
	return 0, false
}

func (o *object) add(key string, v any) {
	if i, again := o.find(key); again {
		if !slices.Contains(o.twice, key) {
			o.twice = append(o.twice, key)
		}
		o.members[i].value = v
		return
	}
	if o.at != nil {
		o.at[key] = len(o.members)
	}
	o.members = append(o.members, member{key: key, value: v})
	if len(o.members) == searchedMembers {
		o.at = make(map[string]int, 2*searchedMembers)
		for i := range o.members {
			o.at[o.members[i].key] = i
		}
	}
}

// value is nil where there is none.
func (o *object) value(key string) any {
	if i, ok := o.find(key); ok {
		return o.members[i].value
	}
	return nil
}

// parseDocument turns JSON into nil, bool, string, json.Number, []any and
// *object values.
func parseDocument(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fault.New(fault.BadRequest, "the document is not UTF-8")
	}
	if !json.Valid(data) {
		var raw json.RawMessage
		return nil, malformed(data, json.Unmarshal(data, &raw))
	}
	v, err := newParser(data).value(0)
	if err != nil {
		return nil, malformed(data, err)
	}
	return v, nil
}

func malformed(data []byte, err error) error {
	at := ""
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && syntax.Offset >= 0 && syntax.Offset <= int64(len(data)) {
		before := data[:syntax.Offset]
		at = fmt.Sprintf(" at line %d, column %d", bytes.Count(before, []byte{'\n'})+1, len(before)-bytes.LastIndexByte(before, '\n')-1)
	}
	return fault.New(fault.BadRequest, "the document is not JSON%s: %v", at, err).Because(err)
}

// parser reads what json.Valid has accepted, several times as fast as
// json.Decoder: a policy of ten thousand rules is read before each change of one.
type parser struct {
	rest []byte
	// known are short texts, which come again and again.
	known, numbers map[string]any

	members [maxDepth + 1][]member // of the objects under way, by depth
}

func newParser(data []byte) *parser {
	return &parser{rest: data, known: map[string]any{}, numbers: map[string]any{}}
}

const (
	shortText = 24
	maxKnown  = 4096
)

// next skips white space and gives the byte behind it.
func (p *parser) next() byte {
	for i, c := range p.rest {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			p.rest = p.rest[i:]
			return c
		}
	}
	return 0
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	switch c := p.next(); c {
	case '[':
		return p.list(depth)
	case '{':
		return p.object(depth)
	case '"':
		return p.text()
	case 't', 'f', 'n':
		word := map[byte]string{'t': "true", 'f': "false", 'n': "null"}[c]
		p.rest = p.rest[len(word):]
		if c == 'n' {
			return nil, nil
		}
		return c == 't', nil
	}
	n := bytes.IndexAny(p.rest, " \n\t\r,]}")
	if n < 0 {
		n = len(p.rest)
	}
	number := p.rest[:n]
	p.rest = p.rest[n:]
	return once(p.numbers, number, func(s string) any { return json.Number(s) }), nil
}

func (p *parser) list(depth int) (any, error) {
	list := []any{}
	p.rest = p.rest[1:]
	for p.next() != ']' {
		if p.rest[0] == ',' {
			p.rest = p.rest[1:]
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	p.rest = p.rest[1:]
	return list, nil
}

func (p *parser) object(depth int) (any, error) {
	o := &object{members: p.members[depth][:0]}
	p.rest = p.rest[1:]
	for p.next() != '}' {
		if p.rest[0] == ',' {
			p.rest = p.rest[1:]
			p.next()
		}
		key, err := p.text()
		if err != nil {
			return nil, err
		}
		p.next()
		p.rest = p.rest[1:] // the colon
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.add(key.(string), v)
	}
	p.rest = p.rest[1:]
	p.members[depth] = o.members
	o.members = slices.Clone(o.members)
	return o, nil
}

// text gives a string, which shares nothing with the document: a rule's few bytes
// would hold all of it.
func (p *parser) text() (any, error) {
	end := 1
	for escaped := false; ; {
		n := bytes.IndexByte(p.rest[end:], '"')
		back := bytes.IndexByte(p.rest[end:end+n], '\\')
		if back < 0 {
			raw := p.rest[:end+n+1]
			p.rest = p.rest[end+n+1:]
			if escaped {
				return unescaped(raw)
			}
			return p.plain(raw[1 : len(raw)-1]), nil
		}
		escaped = true
		end += back + 2
	}
}

func unescaped(raw []byte) (any, error) {
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

func (p *parser) plain(raw []byte) any {
	return once(p.known, raw, func(s string) any { return s })
}

// once makes a value for a text, or gives the one that there is.
func once(known map[string]any, raw []byte, of func(string) any) any {
	if len(raw) > shortText {
		return of(string(raw))
	}
	if v, ok := known[string(raw)]; ok {
		return v
	}
	s := string(raw)
	v := of(s)
	if len(known) < maxKnown {
		known[s] = v
	}
	return v
}
