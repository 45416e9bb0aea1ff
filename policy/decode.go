package policy

import "ngfw.sh/internal/fault"

// Decode reads a whole policy, strictly: every unknown field, wrong type and
// missing required field is an error under its JSON path, all of them in one
// *fault.Error. What is left out has its default afterwards. It judges shape
// alone; Validate judges meaning.
func Decode(data []byte) (Policy, error) {
	return decodeOne(data, decoder.policy)
}

// DecodeRule reads one rule as a request body holds it; paths are relative to
// it. An id is kept where it is a number, the counters are not.
func DecodeRule(data []byte) (Rule, error) { return decodeBody(data, decoder.rule) }

// DecodeZone reads one zone.
func DecodeZone(data []byte) (Zone, error) { return decodeBody(data, decoder.zone) }

// DecodeGroup reads one group.
func DecodeGroup(data []byte) (Group, error) { return decodeBody(data, decoder.group) }

// DecodeDefault reads one zone pair's policy.
func DecodeDefault(data []byte) (Default, error) { return decodeBody(data, decoder.pair) }

// DecodeNATRule reads one NAT rule.
func DecodeNATRule(data []byte) (NATRule, error) { return decodeBody(data, decoder.natRule) }

// DecodeDefaults reads the bare list of zone pair policies; paths begin with
// the index: "[0].from".
func DecodeDefaults(data []byte) ([]Default, error) {
	return decodeList(data, decoder.pair)
}

func decodeBody[T any](data []byte, read func(d decoder, path string, v any) T) (T, error) {
	return decodeOne(data, func(d decoder, path string, v any) T {
		d.body = true
		return read(d, path, v)
	})
}

func decodeOne[T any](data []byte, read func(d decoder, path string, v any) T) (T, error) {
	var none T
	doc, err := parseDocument(data)
	if err != nil {
		return none, err
	}
	if _, ok := doc.(*object); !ok {
		return none, fault.New(fault.BadRequest, "the document must be an object, not %s", kindOf(doc))
	}
	found := new(findings)
	v := read(decoder{found: found}, "", doc)
	if err := found.err(); err != nil {
		return none, err
	}
	return v, nil
}

func decodeList[T any](data []byte, read func(d decoder, path string, v any) T) ([]T, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	elements, ok := doc.([]any)
	if !ok {
		return nil, fault.New(fault.BadRequest, "the document must be a list, not %s", kindOf(doc))
	}
	d := decoder{found: new(findings)}
	list := make([]T, len(elements))
	for i, v := range elements {
		list[i] = read(d, index("", i), v)
	}
	if err := d.found.err(); err != nil {
		return nil, err
	}
	return list, nil
}
