package rule

import (
	"slices"
	"strings"
)

// Op is how a number is compared.
type Op uint8

const (
	Equal Op = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
	Inside       // above A and below B
	Outside      // not above A, or not below B
	MaskEqual    // of the bits of A, exactly those of B are set
	MaskNotEqual // any other bits than B are set of A
)

// Compare is a comparison with one or two constants.
type Compare struct {
	Op   Op
	A, B uint64
}

// Match compares v.
func (c Compare) Match(v uint64) bool {
	switch c.Op {
	case Equal:
		return v == c.A
	case NotEqual:
		return v != c.A
	case Less:
		return v < c.A
	case LessEqual:
		return v <= c.A
	case Greater:
		return v > c.A
	case GreaterEqual:
		return v >= c.A
	case Inside:
		return v > c.A && v < c.B
	case Outside:
		return v <= c.A || v >= c.B
	case MaskEqual:
		return v&c.A == c.B
	case MaskNotEqual:
		return v&c.A != c.B
	}
	return false
}

// Max is the greatest number that matches, if there is one below 2^64-1.
func (c Compare) Max() (uint64, bool) {
	switch c.Op {
	case Equal, LessEqual:
		return c.A, true
	case Less:
		return c.A - 1, true
	case Inside:
		return c.B - 1, true
	}
	return 0, false
}

func (c Compare) print(b []byte) []byte {
	switch c.Op {
	case NotEqual:
		b = append(b, '!')
	case Less:
		b = append(b, '<')
	case LessEqual:
		b = append(b, "<="...)
	case Greater:
		b = append(b, '>')
	case GreaterEqual:
		b = append(b, ">="...)
	case Outside:
		b = append(b, '!')
	case MaskEqual, MaskNotEqual:
		b = appendUint(append(b, '&'), c.A)
		if c.Op == MaskNotEqual {
			b = append(b, '!')
		}
		return appendUint(append(b, '='), c.B)
	}
	b = appendUint(b, c.A)
	if c.Op == Inside || c.Op == Outside {
		b = appendUint(append(b, '-'), c.B)
	}
	return b
}

// symbol cuts a comparison's sign off.
func symbol(s string) (Op, string) {
	for _, sign := range [...]struct {
		text string
		op   Op
	}{{"!=", NotEqual}, {"<=", LessEqual}, {">=", GreaterEqual}, {"!", NotEqual}, {"<", Less}, {">", Greater}, {"=", Equal}} {
		if rest, ok := strings.CutPrefix(s, sign.text); ok {
			return sign.op, trim(rest)
		}
	}
	return Equal, s
}

// parseCompare reads a comparison with numbers of that many bits; names are
// those that stand for numbers, or for bits where the keyword is of flags.
// What can never match is refused.
func parseCompare(s string, at, bits int, names map[string]uint64, flags bool) (Compare, error) {
	var c Compare
	s = trim(s)
	if flags && len(s) > 0 && s[0] != '&' {
		if c, ok, err := parseFlagNames(s, at, names); ok || err != nil {
			return c, err
		}
	}
	limit := uint64(1)<<(bits-1)<<1 - 1
	value := func(s string) (uint64, error) {
		s = trim(s)
		if v, ok := names[strings.ToLower(s)]; ok && !flags {
			return v, nil
		}
		v, ok := size(s)
		switch {
		case !ok && len(names) > 0:
			return 0, faultf(at, "%q is neither a number nor a known name%s", s, nearest(s, keysOf(names)))
		case !ok:
			return 0, faultf(at, "%q is not a number", s)
		case v > limit:
			return 0, faultf(at, "%d does not fit in %d bits", v, bits)
		}
		return v, nil
	}
	if mask, ok := strings.CutPrefix(s, "&"); ok {
		return parseMask(mask, at, value)
	}
	op, rest := symbol(s)
	c.Op = op
	separator := "<>"
	if !strings.Contains(rest, separator) {
		separator = "-"
	}
	var err error
	if low, high, ok := strings.Cut(rest, separator); ok && names[strings.ToLower(rest)] == 0 {
		switch op {
		case Equal:
			c.Op = Inside
		case NotEqual:
			c.Op = Outside
		default:
			return c, faultf(at, "%q mixes a comparison and a range", s)
		}
		if c.A, err = value(low); err == nil {
			c.B, err = value(high)
		}
		if err == nil && (c.B <= c.A || c.B-c.A < 2) {
			err = faultf(at, "there is no number between %d and %d", c.A, c.B)
		}
		return c, err
	}
	if c.A, err = value(rest); err != nil {
		return c, err
	}
	switch {
	case op == Less && c.A == 0:
		return c, faultf(at, "no number is below 0")
	case op == Greater && c.A == limit:
		return c, faultf(at, "no number of %d bits is above %d", bits, c.A)
	}
	return c, nil
}

func parseMask(s string, at int, value func(string) (uint64, error)) (Compare, error) {
	mask, want, ok := strings.Cut(s, "=")
	if !ok {
		return Compare{}, faultf(at, "a mask is written &mask=value or &mask!=value")
	}
	c := Compare{Op: MaskEqual}
	if m, not := strings.CutSuffix(mask, "!"); not {
		mask, c.Op = m, MaskNotEqual
	}
	var err error
	if c.A, err = value(mask); err == nil {
		c.B, err = value(want)
	}
	if err == nil && c.Op == MaskEqual && c.B&^c.A != 0 {
		err = faultf(at, "the mask %#x never leaves %#x", c.A, c.B)
	}
	return c, err
}

// parseFlagNames reads a list of names of bits. ok is false if it is none.
func parseFlagNames(s string, at int, names map[string]uint64) (c Compare, ok bool, err error) {
	if first := strings.TrimLeft(s, "! =<>"); first == "" || first[0] >= '0' && first[0] <= '9' {
		return c, false, nil
	}
	c.Op = MaskEqual
	for more := true; more; {
		var name string
		name, s, more = part(s)
		name, not := strings.CutPrefix(name, "!")
		bit, known := names[strings.ToLower(trim(name))]
		if !known {
			return c, true, faultf(at, "%q is no flag%s", name, nearest(name, keysOf(names)))
		}
		if c.A&bit != 0 {
			return c, true, faultf(at, "the flag %q is named twice", name)
		}
		c.A |= bit
		if !not {
			c.B |= bit
		}
	}
	return c, true, nil
}

// Integer compares a number of a packet, a flow or a transaction.
type Integer struct {
	Name string // canonical keyword
	Compare
	Index Index
}

func (i *Integer) Keyword() string { return i.Name }
func (i *Integer) condition()      {}

func (i *Integer) print(b []byte) []byte {
	b = append(append(b, i.Name...), ':')
	if i.Index.Kind == Count {
		return i.Compare.print(append(b, "count "...))
	}
	return i.Index.print(i.Compare.print(b))
}

// IndexKind says which numbers are compared where there are several.
type IndexKind uint8

const (
	AnyOf       IndexKind = iota // one of them matches
	AllOf                        // there are some, and all match
	AllOrAbsent                  // all match
	OrAbsent                     // one matches, or there is none
	At                           // the one at Index.At matches
	AtOrOutside                  // the same, or there is none there
	Times                        // as many match as Index.Times says
	Count                        // not the numbers are compared, but how many there are
)

// Index selects among several numbers.
type Index struct {
	Kind  IndexKind
	At    int // from 0; negative: from the end, -1 is the last
	Times Compare
}

var indexNames = []string{"any", "all", "all_or_absent", "or_absent"}

func parseIndex(s string, at int) (Index, error) {
	s = trim(s)
	if k := slices.Index(indexNames, s); k >= 0 {
		return Index{Kind: IndexKind(k)}, nil
	}
	x := Index{Kind: At}
	if rest, ok := strings.CutPrefix(s, "oob_or"); ok {
		x.Kind, s = AtOrOutside, trim(rest)
	} else if rest, ok := strings.CutPrefix(s, "nb"); ok {
		x.Kind = Times
		var err error
		x.Times, err = parseCompare(rest, at, 32, nil, false)
		return x, err
	}
	v, ok := signed(s)
	if !ok || v > 1<<20 || v < -1<<20 {
		return x, faultf(at, "%q is no index: a number, any, all, all_or_absent, or_absent, nb or oob_or", s)
	}
	x.At = int(v)
	return x, nil
}

func (x Index) print(b []byte) []byte {
	switch x.Kind {
	case AnyOf:
		return b
	case At:
		return appendInt(append(b, ','), int64(x.At))
	case AtOrOutside:
		return appendInt(append(b, ",oob_or "...), int64(x.At))
	case Times:
		return x.Times.print(append(b, ",nb"...))
	}
	return append(append(b, ','), indexNames[x.Kind]...)
}

// integerSpec describes a keyword that compares a number.
type integerSpec struct {
	bits   int
	names  map[string]uint64
	flags  bool // names are of bits
	many   bool // an index may follow
	packet bool // of single packets
	apps   AppSet
}

func parseInteger(p *parser, o *option) error {
	spec := o.keyword.integer
	i := &Integer{Name: o.keyword.name}
	value, at := o.value, o.valueAt
	var err error
	if spec.many {
		if rest, ok := strings.CutPrefix(value, "count"); ok && rest != "" && strings.IndexByte(" <>=!&0123456789", rest[0]) >= 0 {
			i.Index.Kind = Count
			i.Compare, err = parseCompare(rest, at, 32, nil, false)
			return p.addInteger(i, spec, err)
		}
		var index string
		var more bool
		if value, index, more = strings.Cut(value, ","); more {
			if i.Index, err = parseIndex(index, at+len(value)+1); err != nil {
				return err
			}
		}
	}
	i.Compare, err = parseCompare(value, at, spec.bits, spec.names, spec.flags)
	return p.addInteger(i, spec, err)
}

func (p *parser) addInteger(i *Integer, spec *integerSpec, err error) error {
	if err != nil {
		return err
	}
	p.rule.PerPacket = p.rule.PerPacket || spec.packet
	return p.addCondition(i, spec.apps)
}
