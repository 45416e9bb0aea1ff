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
	keys   []string // in order, without repeats
	values map[string]any
	twice  []string // keys that came more than once
}

// parseDocument turns JSON into nil, bool, string, json.Number, []any and
// object values.
func parseDocument(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, fault.New(fault.BadRequest, "the document is not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, malformed(data, err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := readValue(dec, 0)
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

func readValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := readValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	case json.Delim('{'):
		return readObject(dec, depth)
	}
	return token, nil
}

func readObject(dec *json.Decoder, depth int) (any, error) {
	o := object{values: map[string]any{}}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string) // the syntax is known to be right
		v, err := readValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		if _, again := o.values[key]; again {
			if !slices.Contains(o.twice, key) {
				o.twice = append(o.twice, key)
			}
		} else {
			o.keys = append(o.keys, key)
		}
		o.values[key] = v
	}
	_, err := dec.Token()
	return o, err
}
