package rule

import (
	"strconv"
	"strings"
)

// Size compares the length of the buffer: bsize, and urilen of http.uri.
type Size struct{ Compare }

func (*Size) match() {}

func (s *Size) print(b []byte, _ *Rule) []byte {
	return append(s.Compare.print(append(b, "bsize:"...)), "; "...)
}

func parseBSize(p *parser, o *option) error {
	c, err := parseCompare(o.value, o.valueAt, 64, nil, false)
	if err != nil {
		return err
	}
	if !p.active {
		return faultf(o.at, "bsize needs a sticky buffer before it")
	}
	p.addMatch(&Size{c}, false)
	return nil
}

func parseURILen(p *parser, o *option) error {
	value, which, more := part(o.value)
	kind := "http.uri"
	switch which = trim(which); {
	case !more || which == "norm":
	case which == "raw":
		kind = "http.uri.raw"
	default:
		return faultf(o.valueAt, "urilen is of norm or raw, not of %q", which)
	}
	c, err := parseCompare(value, o.valueAt, 16, nil, false)
	if err != nil {
		return err
	}
	return p.addMatchIn(&Size{c}, o, bufferKindByName[kind])
}

// Absent matches where there is no such buffer; OrElse: or where there is one
// and the other matches of it hold.
type Absent struct{ OrElse bool }

func (*Absent) match() {}

func (a *Absent) print(b []byte, _ *Rule) []byte {
	if a.OrElse {
		return append(b, "absent:or_else; "...)
	}
	return append(b, "absent; "...)
}

func parseAbsent(p *parser, o *option) error {
	if !p.active {
		return faultf(o.at, "absent needs a sticky buffer before it")
	}
	if p.bound >= 0 {
		return faultf(o.at, "absent comes first after its sticky buffer")
	}
	if o.value != "" && o.value != "or_else" {
		return faultf(o.valueAt, "absent has the option or_else alone, not %q", o.value)
	}
	p.addMatch(&Absent{o.value != ""}, false)
	return nil
}

// Entropy compares the Shannon entropy of a part of the buffer, in bits a byte.
type Entropy struct {
	Bytes  uint32 // 0: all that follow Offset
	Offset uint32
	Op     Op // one of Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, Inside, Outside
	A, B   float64
}

func (*Entropy) match() {}

func parseEntropy(p *parser, o *option) error {
	if !p.active {
		return faultf(o.at, "entropy needs a sticky buffer before it")
	}
	e := &Entropy{}
	seen := map[string]bool{}
	for rest, more := o.value, true; more; {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		if seen[key] {
			return faultf(o.valueAt, "%s is given twice", key)
		}
		seen[key] = true
		switch key {
		case "bytes", "offset":
			v, ok := number(value)
			if !ok || v > 1<<31 {
				return faultf(o.valueAt, "%q is no count of bytes", value)
			}
			if key == "bytes" {
				e.Bytes = uint32(v)
			} else {
				e.Offset = uint32(v)
			}
		case "value":
			if err := e.compare(value, o.valueAt); err != nil {
				return err
			}
		default:
			return faultf(o.valueAt, "entropy has no option %q: it has bytes, offset and value", key)
		}
	}
	if !seen["value"] {
		return faultf(o.valueAt, "entropy needs a value to compare with")
	}
	p.addMatch(e, false)
	return nil
}

func (e *Entropy) compare(s string, at int) error {
	op, rest := symbol(s)
	e.Op = op
	var err error
	separator := "-"
	if strings.Contains(rest, "<>") {
		separator = "<>"
	}
	low, high, isRange := strings.Cut(rest, separator)
	switch {
	case isRange && op == Equal:
		e.Op = Inside
	case isRange && op == NotEqual:
		e.Op = Outside
	case isRange:
		return faultf(at, "%q mixes a comparison and a range", s)
	}
	if e.A, err = entropyValue(low, at); err == nil && isRange {
		if e.B, err = entropyValue(high, at); err == nil && e.B <= e.A {
			err = faultf(at, "the range %q is empty", s)
		}
	}
	return err
}

func entropyValue(s string, at int) (float64, error) {
	s = trim(s)
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= 8) || strings.ContainsAny(s, "xXpPeE_+") {
		return 0, faultf(at, "%q is no entropy from 0.0 to 8.0", s)
	}
	return v, nil
}

func (e *Entropy) print(b []byte, _ *Rule) []byte {
	b = append(b, "entropy:"...)
	if e.Bytes > 0 {
		b = append(appendUint(append(b, "bytes "...), uint64(e.Bytes)), ", "...)
	}
	if e.Offset > 0 {
		b = append(appendUint(append(b, "offset "...), uint64(e.Offset)), ", "...)
	}
	b = append(b, "value "...)
	b = append(b, map[Op]string{NotEqual: "!", Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">=", Outside: "!"}[e.Op]...)
	b = strconv.AppendFloat(b, e.A, 'f', -1, 64)
	if e.Op == Inside || e.Op == Outside {
		b = strconv.AppendFloat(append(b, '-'), e.B, 'f', -1, 64)
	}
	return append(b, "; "...)
}

// Base64Decode decodes a part of the buffer for the buffer base64_data. It
// matches if there is anything to decode.
type Base64Decode struct {
	Bytes    Operand // how many encoded bytes; 0: all there are
	Offset   Operand
	Relative bool
}

func (*Base64Decode) match() {}

func parseBase64Decode(p *parser, o *option) error {
	d := &Base64Decode{}
	for rest, more := o.value, o.value != ""; more; {
		var item string
		var err error
		item, rest, more = part(rest)
		switch key, value := word(item); key {
		case "bytes":
			d.Bytes, err = p.operand(value, o.valueAt, 1, 65535)
		case "offset":
			d.Offset, err = p.operand(value, o.valueAt, 0, 65535)
		case "relative":
			d.Relative = true
		default:
			err = faultf(o.valueAt, "base64_decode has no option %q: it has bytes, offset and relative", key)
		}
		if err != nil {
			return err
		}
	}
	p.addMatch(d, d.Relative)
	p.decodes = true
	return nil
}

func (d *Base64Decode) print(b []byte, r *Rule) []byte {
	b = append(b, "base64_decode:"...)
	if d.Bytes.IsVariable() || d.Bytes.Value > 0 {
		b = append(d.Bytes.print(append(b, "bytes "...), r), ", "...)
	}
	b = d.Offset.print(append(b, "offset "...), r)
	if d.Relative {
		b = append(b, ", relative"...)
	}
	return append(b, "; "...)
}
