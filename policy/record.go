package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// record reads the members of one object. Every member that a shape knows is
// asked for once; done reports the others. A null is an absent member.
type record struct {
	found *findings
	path  string // of the object, "" at the top
	*object

	known [maxMembers]string // that were asked for, for the remedy
	asks  int
}

// maxMembers is how many a shape has at the most.
const maxMembers = 24

// newRecord is false, with a finding, where v is no object.
func newRecord(found *findings, path string, v any) (*record, bool) {
	o, ok := v.(*object)
	if !ok {
		found.misshapen(path, "must be an object, not %s", kindOf(v))
		o = &object{}
	}
	return &record{found: found, path: path, object: o}, ok
}

func (r *record) member(name string) string { return join(r.path, name) }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (r *record) value(name string) (any, bool) {
	if r.asks < maxMembers {
		r.known[r.asks] = name
		r.asks++
	}
	i, ok := r.find(name)
	if !ok {
		return nil, false
	}
	r.members[i].asked = true
	v := r.members[i].value
	return v, v != nil
}

// require reports an absent member.
func (r *record) require(names ...string) {
	for _, name := range names {
		if _, ok := r.value(name); !ok {
			r.found.add(r.member(name), "is required")
		}
	}
}

// ignore accepts members that answers hold and writes do not set.
func (r *record) ignore(names ...string) {
	for _, name := range names {
		if i, ok := r.find(name); ok {
			r.members[i].asked = true
		}
	}
}

func (r *record) text(name string, to *string) {
	if v, ok := r.value(name); ok {
		s, isText := v.(string)
		if !isText {
			r.found.misshapen(r.member(name), "must be a string, not %s", kindOf(v))
			return
		}
		*to = s
	}
}

func (r *record) flag(name string, to *bool) {
	if v, ok := r.value(name); ok {
		b, isFlag := v.(bool)
		if !isFlag {
			r.found.misshapen(r.member(name), "must be true or false, not %s", kindOf(v))
			return
		}
		*to = b
	}
}

func (r *record) integer(name string, to *int64) bool {
	v, ok := r.value(name)
	if !ok {
		return false
	}
	n, err := integerOf(v)
	if err != nil {
		r.found.misshapen(r.member(name), "%s", err.Error())
		return false
	}
	*to = n
	return true
}

// bounded reads an integer between 0 and limit.
func (r *record) bounded(name string, limit int64, to *int64) bool {
	var n int64
	if !r.integer(name, &n) {
		return false
	}
	if n < 0 || n > limit {
		r.found.add(r.member(name), "must be between 0 and %d, not %d", limit, n)
		return false
	}
	*to = n
	return true
}

// list calls each with the path and value of every element.
func (r *record) list(name string, each func(path string, v any)) {
	list := r.elements(name)
	path := r.member(name)
	for i, v := range list {
		each(index(path, i), v)
	}
}

// elements gives a member that is a list.
func (r *record) elements(name string) []any {
	v, ok := r.value(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		r.found.misshapen(r.member(name), "must be a list, not %s", kindOf(v))
	}
	return list
}

func (r *record) texts(name string, to *[]string) {
	for i, v := range r.elements(name) {
		s, ok := v.(string)
		if !ok {
			r.found.misshapen(index(r.member(name), i), "must be a string, not %s", kindOf(v))
			continue
		}
		*to = append(*to, s)
	}
}

// done reports members that are unknown or written twice.
func (r *record) done() {
	for _, m := range r.members {
		if !m.asked {
			r.found.misshapen(r.member(m.key), "is not a field that exists here: %s", r.instead(m.key))
		}
	}
	for _, key := range r.twice {
		r.found.misshapen(r.member(key), "is written twice")
	}
}

func integerOf(v any) (int64, error) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("must be a whole number, not %s", kindOf(v))
	}
	n, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("must be a whole number, not %s", number)
	}
	return n, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}
