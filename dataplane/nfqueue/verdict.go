package nfqueue

import "encoding/binary"

// batch gathers the verdicts of a burst as one send. Neighbours with the same
// verdict and mark share a message: the kernel applies it to every packet up to its id.
type batch struct {
	number uint16
	out    []byte
	last   struct {
		Verdict
		id    uint32
		count int
		marks bool // the mark differs from the packet's
	}
	messages int
}

// add appends the verdict of the next packet.
func (b *batch) add(p *Packet, v Verdict) {
	marks := !v.Drop && v.Mark != p.Mark
	l := &b.last
	same := l.count > 0 && l.Drop == v.Drop && l.marks == marks && (!marks || l.Mark == v.Mark) && p.id == l.id+1
	if !same {
		b.put()
		l.Verdict, l.marks = v, marks
	}
	l.id = p.id
	l.count++
}

// put writes what neighbours have in common.
func (b *batch) put() {
	l := &b.last
	if l.count == 0 {
		return
	}
	kind, size := uint16(typeVerdict), headerSize+12
	if l.count > 1 {
		kind = typeBatch
	}
	if l.marks {
		size += 8
	}
	ne, be := binary.NativeEndian, binary.BigEndian
	o := b.out
	o = ne.AppendUint32(o, uint32(size))
	o = ne.AppendUint16(o, kind)
	o = ne.AppendUint16(o, flagRequest)
	o = ne.AppendUint64(o, 0) // sequence, port
	o = append(o, 0, 0)       // family, version
	o = be.AppendUint16(o, b.number)
	o = ne.AppendUint16(o, 12)
	o = ne.AppendUint16(o, attrVerdict)
	word := uint32(accept)
	if l.Drop {
		word = drop
	}
	o = be.AppendUint32(o, word)
	o = be.AppendUint32(o, l.id)
	if l.marks {
		o = ne.AppendUint16(o, 8)
		o = ne.AppendUint16(o, attrVerdictMark)
		o = be.AppendUint32(o, l.Mark)
	}
	b.out = o
	b.messages++
	l.count = 0
}

// take ends the batch and gives its bytes, which are valid until the next add.
func (b *batch) take() (out []byte, messages int) {
	b.put()
	out, messages = b.out, b.messages
	b.out, b.messages = b.out[:0], 0
	return out, messages
}
