package defrag

import (
	"container/list"
	"encoding/binary"
	"slices"

	"ngfw.sh/dataplane/ids/packet"
)

// tracker holds what came of one packet.
type tracker struct {
	key
	element *list.Element
	seen    int64
	policy  Policy
	memory  int
	// pieces do not overlap and are in order.
	pieces []piece
	// head is what comes before the data, from the fragment with offset 0.
	head   []byte
	next   uint8
	nextAt int
	end    int // of the data; -1 before the last fragment
}

// piece is bytes that count, and the fragment they came in.
type piece struct {
	at       int
	data     []byte
	from, to int // of the whole fragment
}

func (p *piece) end() int { return p.at + len(p.data) }

// add puts a fragment in and says whether it overlapped another.
func (t *tracker) add(part *packet.Part, ip []byte) (overlap bool) {
	if part.Offset == 0 && t.head == nil {
		t.head = slices.Clone(ip[:part.Head])
		t.next, t.nextAt = part.Next, part.NextAt
		t.memory += len(t.head)
	}
	from, to := part.Offset, part.Offset+len(part.Data)
	if !part.More {
		t.end = max(t.end, to)
	}
	if from == to {
		return false
	}
	data := slices.Clone(part.Data)
	t.memory += len(data) + 64
	// lost are the ranges of the new fragment that go to older ones.
	var kept []piece
	var lost []piece
	for _, old := range t.pieces {
		if old.end() <= from || old.at >= to {
			kept = append(kept, old)
			continue
		}
		overlap = true
		if !t.policy.newWins(old.from, old.to, from, to) {
			kept = append(kept, old)
			lost = append(lost, old)
			continue
		}
		if old.at < from {
			kept = append(kept, piece{old.at, old.data[:from-old.at], old.from, old.to})
		}
		if old.end() > to {
			kept = append(kept, piece{to, old.data[to-old.at:], old.from, old.to})
		}
	}
	at := from
	for _, l := range lost {
		if l.at > at {
			kept = append(kept, piece{at, data[at-from : l.at-from], from, to})
		}
		at = max(at, l.end())
	}
	if at < to {
		kept = append(kept, piece{at, data[at-from:], from, to})
	}
	slices.SortFunc(kept, func(a, b piece) int { return a.at - b.at })
	t.pieces = kept
	return overlap
}

// whole is the packet, if nothing is missing.
func (t *tracker) whole(version uint8) []byte {
	if t.end < 0 || t.head == nil {
		return nil
	}
	end := 0
	for i := range t.pieces {
		if t.pieces[i].at != end {
			return nil
		}
		end = t.pieces[i].end()
	}
	if end < t.end {
		return nil
	}
	b := slices.Grow(slices.Clone(t.head), end)
	for i := range t.pieces {
		b = append(b, t.pieces[i].data...)
	}
	if len(b) > maxPacket+40 {
		return b
	}
	if version == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(min(len(b), maxPacket)))
		b[6], b[7] = 0, 0
		b[10], b[11] = 0, 0
		var sum uint32
		for i := 0; i+1 < len(t.head); i += 2 {
			sum += uint32(b[i])<<8 | uint32(b[i+1])
		}
		for sum>>16 != 0 {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
		return b
	}
	binary.BigEndian.PutUint16(b[4:], uint16(min(len(b)-40, maxPacket)))
	b[t.nextAt] = t.next
	return b
}
