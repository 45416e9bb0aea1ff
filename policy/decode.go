package policy

// Decode reads a whole policy, strictly: every unknown field, wrong type and
// missing required field is an error under its JSON path, all of them in one
// *fault.Error. What is left out has its default afterwards. It judges shape
// alone; Validate judges meaning.
func Decode(data []byte) (Policy, error) {
	doc, err := parseDocument(data)
	if err != nil {
		return Policy{}, err
	}
	found := new(findings)
	p := readPolicy(decoder{found: found}, doc)
	if err := found.err(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// DecodeRule reads one rule as a request body holds it; paths are relative to
// it. An id is kept where it is a number, the counters are not.
func DecodeRule(data []byte) (Rule, error) { return decodeOne(data, decoder.rule) }

// DecodeZone reads one zone.
func DecodeZone(data []byte) (Zone, error) { return decodeOne(data, decoder.zone) }

// DecodeGroup reads one group.
func DecodeGroup(data []byte) (Group, error) { return decodeOne(data, decoder.group) }

// DecodeDefault reads one zone pair's policy.
func DecodeDefault(data []byte) (Default, error) { return decodeOne(data, decoder.pair) }

// DecodeNATRule reads one NAT rule.
func DecodeNATRule(data []byte) (NATRule, error) { return decodeOne(data, decoder.natRule) }

// DecodeDefaults reads the bare list of zone pair policies; paths begin with
// the index: "[0].from".
func DecodeDefaults(data []byte) ([]Default, error) {
	return decodeOne(data, func(d decoder, path string, v any) []Default {
		list := []Default{}
		listOf(d.found, path, v, func(path string, v any) { list = append(list, d.pair(path, v)) })
		return list
	})
}

func decodeOne[T any](data []byte, read func(d decoder, path string, v any) T) (T, error) {
	var none T
	doc, err := parseDocument(data)
	if err != nil {
		return none, err
	}
	found := new(findings)
	v := read(decoder{found: found, body: true}, "", doc)
	if err := found.err(); err != nil {
		return none, err
	}
	return v, nil
}
