package nfqueue

import "encoding/binary"

// batch gathers the verdicts of a burst as one send. Neighbours with the same
// verdict and mark share a message: the kernel applies it to every packet up to its id.
type batch struct {
	number uint16
	out    []byte
	last   struct {
		drop  bool
		mark  uint32
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
	if v.Data != nil && !v.Drop {
		b.put()
		l.drop, l.mark, l.marks, l.id, l.count = false, v.Mark, marks, p.id, 1
		b.write(v.Data)
		return
	}
	same := l.count > 0 && l.drop == v.Drop && l.marks == marks && (!marks || l.mark == v.Mark) && p.id == l.id+1
	if !same {
		b.put()
		l.drop, l.mark, l.marks = v.Drop, v.Mark, marks
	}
	l.id = p.id
	l.count++
}

// put writes what neighbours have in common.
func (b *batch) put() {
	if b.last.count > 0 {
		b.write(nil)
	}
}

// write appends the message for what is gathered, with data in the packet's place.
func (b *batch) write(data []byte) {
	l := &b.last
	kind, size := uint16(typeVerdict), headerSize+12
	if l.count > 1 {
		kind = typeBatch
	}
	if l.marks {
		size += 8
	}
	if data != nil {
		size += 4 + align(len(data))
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
	if l.drop {
		word = drop
	}
	o = be.AppendUint32(o, word)
	o = be.AppendUint32(o, l.id)
	if l.marks {
		o = ne.AppendUint16(o, 8)
		o = ne.AppendUint16(o, attrVerdictMark)
		o = be.AppendUint32(o, l.mark)
	}
	if data != nil {
		o = ne.AppendUint16(o, uint16(4+len(data)))
		o = ne.AppendUint16(o, attrPayload)
		o = append(o, data...)
		o = append(o, make([]byte, align(len(data))-len(data))...)
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
