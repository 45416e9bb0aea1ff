package rule

import "strings"

// ByteOrder is how a number is read.
type ByteOrder uint8

const (
	BigEndian ByteOrder = iota
	LittleEndian
	DCEOrder // as the DCE/RPC header says
)

// Base is that of a number written as text; 0: it is binary.
type Base uint8

// Number says where and how a number is read from a buffer.
type Number struct {
	Bytes    Operand // how many; 0 of text: as many as there are digits
	Offset   Operand // from the buffer's beginning, or from the end of the match before
	Relative bool
	Order    ByteOrder
	Base     Base   // 0, 8, 10 or 16
	Mask     uint32 // 0: none. The result is shifted right until its lowest bit counts.
}

// ByteTest compares a number of the buffer.
type ByteTest struct {
	Number
	Negated bool
	Op      ByteOp
	Value   Operand
}

// ByteOp is an operation of byte_test and byte_math.
type ByteOp uint8

const (
	ByteEqual ByteOp = iota
	ByteLess
	ByteGreater
	ByteLessEqual
	ByteGreaterEqual
	ByteAnd // any common bit
	ByteXor // any bit that differs
	ByteAdd
	ByteSubtract
	ByteMultiply
	ByteDivide // by 0: no match
	ByteShiftLeft
	ByteShiftRight
)

var byteTestOps = []string{"=", "<", ">", "<=", ">=", "&", "^"}
var byteMathOps = []string{"+", "-", "*", "/", "<<", ">>"}

// ByteJump moves the end of the match before by a number of the buffer.
type ByteJump struct {
	Number
	Multiplier    uint32 // 1 where none is given
	Align         bool   // the number is rounded up to a multiple of 4
	FromBeginning bool
	FromEnd       bool
	PostOffset    int32
}

// ByteExtract stores a number of the buffer in a variable.
type ByteExtract struct {
	Number
	Variable   uint16 // 1 + index into Rule.Variables
	Multiplier uint32 // 1 where none is given
	Align      uint8  // 0, 2 or 4
}

// ByteMath stores what comes of a number of the buffer and a value.
type ByteMath struct {
	Number
	Op       ByteOp
	Value    Operand
	Variable uint16 // 1 + index into Rule.Variables
}

// DataAt checks that there is a byte at Offset, or just none. Relative: Offset
// bytes after the end of the match before, where the end of the buffer counts.
type DataAt struct {
	Negated  bool
	Offset   Operand
	Relative bool
	RawBytes bool
}

func (*ByteTest) match()    {}
func (*ByteJump) match()    {}
func (*ByteExtract) match() {}
func (*ByteMath) match()    {}
func (*DataAt) match()      {}

// number reads an option that all keywords of bytes share. known: it was one.
func (n *Number) option(key, value string, rest *string, more *bool, at int) (known bool, err error) {
	switch key {
	case "relative":
		n.Relative = true
	case "big":
		n.Order = BigEndian
	case "little":
		n.Order = LittleEndian
	case "dce":
		n.Order = DCEOrder
	case "endian":
		order, ok := indexOf([]string{"big", "little", "dce"}, value)
		if !ok {
			return true, faultf(at, "endian is big, little or dce, not %q", value)
		}
		n.Order = ByteOrder(order)
		return true, nil
	case "string":
		if value == "" && n.Base == 0 && *more {
			if base := baseOf(firstPart(*rest)); base != 0 {
				_, *rest, *more = part(*rest)
				n.Base = base
				return true, nil
			}
		}
		if n.Base == 0 {
			n.Base = 10
		}
		if value != "" {
			if n.Base = baseOf(value); n.Base == 0 {
				return true, faultf(at, "string is hex, dec or oct, not %q", value)
			}
			return true, nil
		}
	case "hex", "dec", "oct":
		n.Base = baseOf(key)
	case "bitmask":
		v, ok := number(value)
		if !ok || v == 0 || v > 1<<32-1 {
			return true, faultf(at, "%q is no mask of 32 bits", value)
		}
		n.Mask = uint32(v)
		return true, nil
	default:
		return false, nil
	}
	if value != "" {
		return true, faultf(at, "%s takes no value", key)
	}
	return true, nil
}

func firstPart(s string) string {
	head, _, _ := part(s)
	return head
}

func baseOf(s string) Base {
	switch s {
	case "hex":
		return 16
	case "dec":
		return 10
	case "oct":
		return 8
	}
	return 0
}

// check refuses counts of bytes that make no number. zero: none is one, 0.
func (n *Number) check(at int, zero bool) error {
	if n.Bytes.IsVariable() {
		return nil
	}
	if n.Bytes.Value == 0 && n.Base == 0 && !zero {
		return faultf(at, "a number of no bytes")
	}
	most := int64(8)
	switch n.Base {
	case 16:
		most = 14
	case 10:
		most = 20
	case 8:
		most = 23
	}
	if n.Bytes.Value > most {
		return faultf(at, "a number of %d bytes; the most are %d", n.Bytes.Value, most)
	}
	return nil
}

func (p *parser) numberAt(bytes, offset string, at int) (Number, error) {
	var n Number
	var err error
	if n.Bytes, err = p.operand(bytes, at, 0, 23); err == nil {
		n.Offset, err = p.operand(offset, at, -65535, 1<<31-1)
	}
	return n, err
}

// fields cuts n parts off, all of which must be there.
func (o *option) fields(n int, form string) ([]string, string, bool, error) {
	out := make([]string, 0, 4)
	rest, more := o.value, true
	for range n {
		if !more {
			return nil, "", false, faultf(o.valueAt, "%s is written %s", o.keyword.name, form)
		}
		var head string
		head, rest, more = part(rest)
		out = append(out, head)
	}
	return out, rest, more, nil
}

func parseByteTest(p *parser, o *option) error {
	f, rest, more, err := o.fields(4, "bytes, operator, value, offset and options")
	if err != nil {
		return err
	}
	t := &ByteTest{}
	if t.Number, err = p.numberAt(f[0], f[3], o.valueAt); err != nil {
		return err
	}
	sign := f[1]
	if s, not := strings.CutPrefix(sign, "!"); not {
		t.Negated, sign = true, trim(s)
		if sign == "" {
			sign = "="
		}
	}
	op, ok := indexOf(byteTestOps, sign)
	if !ok {
		return faultf(o.valueAt, "%q is no operator: one of = < > <= >= & ^, or ! and one", f[1])
	}
	t.Op = ByteOp(op)
	if t.Value, err = p.operand(f[2], o.valueAt, -1<<62, 1<<62); err != nil {
		return err
	}
	for more {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		known, err := t.option(key, value, &rest, &more, o.valueAt)
		if err != nil {
			return err
		}
		if !known {
			return faultf(o.valueAt, "byte_test has no option %q", item)
		}
	}
	return p.addNumber(t, &t.Number, o)
}

func parseByteJump(p *parser, o *option) error {
	f, rest, more, err := o.fields(2, "bytes, offset and options")
	if err != nil {
		return err
	}
	j := &ByteJump{Multiplier: 1}
	if j.Number, err = p.numberAt(f[0], f[1], o.valueAt); err != nil {
		return err
	}
	for more {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		known, err := j.option(key, value, &rest, &more, o.valueAt)
		if err != nil {
			return err
		}
		switch {
		case known:
		case key == "align" && value == "":
			j.Align = true
		case key == "from_beginning" && value == "":
			j.FromBeginning = true
		case key == "from_end" && value == "":
			j.FromEnd = true
		case key == "multiplier":
			if j.Multiplier, err = multiplier(value, o.valueAt); err != nil {
				return err
			}
		case key == "post_offset":
			v, ok := signed(value)
			if !ok || v < -65535 || v > 65535 {
				return faultf(o.valueAt, "post_offset is from -65535 to 65535, not %q", value)
			}
			j.PostOffset = int32(v)
		default:
			return faultf(o.valueAt, "byte_jump has no option %q", item)
		}
	}
	if j.FromBeginning && j.FromEnd {
		return faultf(o.valueAt, "from_beginning and from_end exclude each other")
	}
	return p.addNumber(j, &j.Number, o)
}

func multiplier(s string, at int) (uint32, error) {
	v, ok := number(s)
	if !ok || v == 0 || v > 65535 {
		return 0, faultf(at, "multiplier is from 1 to 65535, not %q", s)
	}
	return uint32(v), nil
}

func parseByteExtract(p *parser, o *option) error {
	f, rest, more, err := o.fields(3, "bytes, offset, variable and options")
	if err != nil {
		return err
	}
	x := &ByteExtract{Multiplier: 1}
	if x.Number, err = p.numberAt(f[0], f[1], o.valueAt); err != nil {
		return err
	}
	for more {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		known, err := x.option(key, value, &rest, &more, o.valueAt)
		if err != nil {
			return err
		}
		switch {
		case known:
		case key == "align" && (value == "2" || value == "4"):
			x.Align = value[0] - '0'
		case key == "multiplier":
			if x.Multiplier, err = multiplier(value, o.valueAt); err != nil {
				return err
			}
		default:
			return faultf(o.valueAt, "byte_extract has no option %q", item)
		}
	}
	if x.Variable, err = p.variable(f[2], o.valueAt); err != nil {
		return err
	}
	return p.addNumber(x, &x.Number, o)
}

func parseByteMath(p *parser, o *option) error {
	m := &ByteMath{}
	var bytes, offset, result string
	seen := map[string]bool{}
	for rest, more := o.value, true; more; {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		if seen[key] {
			return faultf(o.valueAt, "%s is given twice", key)
		}
		seen[key] = true
		known, err := m.option(key, value, &rest, &more, o.valueAt)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		switch key {
		case "bytes":
			bytes = value
		case "offset":
			offset = value
		case "oper":
			op, ok := indexOf(byteMathOps, value)
			if !ok {
				return faultf(o.valueAt, "%q is no operator: one of + - * / << >>", value)
			}
			m.Op = ByteAdd + ByteOp(op)
		case "rvalue":
			if m.Value, err = p.operand(value, o.valueAt, 0, 1<<32-1); err != nil {
				return err
			}
		case "result":
			result = value
		default:
			return faultf(o.valueAt, "byte_math has no option %q", item)
		}
	}
	for _, key := range [...]string{"bytes", "offset", "oper", "rvalue", "result"} {
		if !seen[key] {
			return faultf(o.valueAt, "byte_math needs %s", key)
		}
	}
	n, err := p.numberAt(bytes, offset, o.valueAt)
	if err != nil {
		return err
	}
	m.Bytes, m.Offset = n.Bytes, n.Offset
	if m.Op == ByteDivide && !m.Value.IsVariable() && m.Value.Value == 0 {
		return faultf(o.valueAt, "a division by 0")
	}
	if m.Variable, err = p.variable(result, o.valueAt); err != nil {
		return err
	}
	return p.addNumber(m, &m.Number, o)
}

const maxVariables = 64

// variable introduces one.
func (p *parser) variable(name string, at int) (uint16, error) {
	if len(p.rule.Variables) == maxVariables {
		return 0, faultf(at, "the rule sets more than %d variables", maxVariables)
	}
	if !isVariable(name) {
		return 0, faultf(at, "%q cannot name a variable", name)
	}
	for _, v := range p.rule.Variables {
		if v == name {
			return 0, faultf(at, "the variable %s is set twice", name)
		}
	}
	p.rule.Variables = append(p.rule.Variables, name)
	return uint16(len(p.rule.Variables)), nil
}

func (p *parser) addNumber(m Match, n *Number, o *option) error {
	if err := n.check(o.valueAt, o.keyword.name == "byte_jump"); err != nil {
		return err
	}
	if n.Order == DCEOrder {
		if n.Base != 0 {
			return faultf(o.valueAt, "dce is the order of binary numbers, not of text")
		}
		if !p.active {
			if err := p.restrict(o.at, appSet("dcerpc", "smb"), "dce"); err != nil {
				return err
			}
		}
	}
	p.addMatch(m, n.Relative)
	return nil
}

func parseDataAt(p *parser, o *option) error {
	s, at, not := negation(o.value, o.valueAt)
	d := &DataAt{Negated: not}
	head, rest, more := part(s)
	var err error
	if d.Offset, err = p.operand(head, at, 0, 65535); err != nil {
		return err
	}
	for more {
		var item string
		item, rest, more = part(rest)
		switch item {
		case "relative":
			d.Relative = true
		case "rawbytes":
			d.RawBytes = true
		default:
			return faultf(at, "isdataat has no option %q: it has relative and rawbytes", item)
		}
	}
	p.addMatch(d, d.Relative)
	return nil
}
