package rule

func (n *Number) printOptions(b []byte) []byte {
	if n.Relative {
		b = append(b, ",relative"...)
	}
	b = append(b, [...]string{"", ",little", ",dce"}[n.Order]...)
	switch n.Base {
	case 8:
		b = append(b, ",string,oct"...)
	case 10:
		b = append(b, ",string,dec"...)
	case 16:
		b = append(b, ",string,hex"...)
	}
	if n.Mask != 0 {
		b = appendUint(append(b, ",bitmask "...), uint64(n.Mask))
	}
	return b
}

func (t *ByteTest) print(b []byte, r *Rule) []byte {
	b = append(t.Bytes.print(append(b, "byte_test:"...), r), ',')
	if t.Negated {
		b = append(b, '!')
	}
	b = append(append(b, byteTestOps[t.Op]...), ',')
	b = t.Offset.print(append(t.Value.print(b, r), ','), r)
	return append(t.printOptions(b), "; "...)
}

func (j *ByteJump) print(b []byte, r *Rule) []byte {
	b = append(j.Bytes.print(append(b, "byte_jump:"...), r), ',')
	b = j.printOptions(j.Offset.print(b, r))
	if j.Multiplier != 1 {
		b = appendUint(append(b, ",multiplier "...), uint64(j.Multiplier))
	}
	if j.Align {
		b = append(b, ",align"...)
	}
	if j.FromBeginning {
		b = append(b, ",from_beginning"...)
	}
	if j.FromEnd {
		b = append(b, ",from_end"...)
	}
	if j.PostOffset != 0 {
		b = appendInt(append(b, ",post_offset "...), int64(j.PostOffset))
	}
	return append(b, "; "...)
}

func (x *ByteExtract) print(b []byte, r *Rule) []byte {
	b = append(x.Bytes.print(append(b, "byte_extract:"...), r), ',')
	b = append(x.Offset.print(b, r), ',')
	b = x.printOptions(append(b, r.Variables[x.Variable-1]...))
	if x.Multiplier != 1 {
		b = appendUint(append(b, ",multiplier "...), uint64(x.Multiplier))
	}
	if x.Align != 0 {
		b = appendUint(append(b, ",align "...), uint64(x.Align))
	}
	return append(b, "; "...)
}

func (m *ByteMath) print(b []byte, r *Rule) []byte {
	b = m.Bytes.print(append(b, "byte_math:bytes "...), r)
	b = m.Offset.print(append(b, ", offset "...), r)
	b = append(append(b, ", oper "...), byteMathOps[m.Op-ByteAdd]...)
	b = m.Value.print(append(b, ", rvalue "...), r)
	b = append(append(b, ", result "...), r.Variables[m.Variable-1]...)
	if m.Relative {
		b = append(b, ", relative"...)
	}
	b = append(b, [...]string{"", ", endian little", ", dce"}[m.Order]...)
	switch m.Base {
	case 8:
		b = append(b, ", string oct"...)
	case 10:
		b = append(b, ", string dec"...)
	case 16:
		b = append(b, ", string hex"...)
	}
	if m.Mask != 0 {
		b = appendUint(append(b, ", bitmask "...), uint64(m.Mask))
	}
	return append(b, "; "...)
}

func (d *DataAt) print(b []byte, r *Rule) []byte {
	b = append(b, "isdataat:"...)
	if d.Negated {
		b = append(b, '!')
	}
	b = d.Offset.print(b, r)
	if d.Relative {
		b = append(b, ",relative"...)
	}
	if d.RawBytes {
		b = append(b, ",rawbytes"...)
	}
	return append(b, "; "...)
}
