package detect

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// slotBuffers are the buffers of a slot in the transaction, as they are now.
func (w *Worker) slotBuffers(n int32, tx app.Transaction, dir app.Direction) []app.Buffer {
	c := &w.cache[2*n+int32(dir)]
	if c.turn == w.turn {
		return w.buffers[c.from:c.to]
	}
	s := &w.set.slots[n]
	c.turn, c.from = w.turn, len(w.buffers)
	w.buffers = tx.Buffers(s.kind, dir, w.buffers)
	if s.kind.Layer == rule.FileData && len(w.buffers) == c.from {
		for _, f := range tx.Files(dir) {
			if b, ok := bufferOf(s.kind, f); ok {
				w.buffers = append(w.buffers, b)
			}
		}
	}
	if len(s.transforms) > 0 {
		kept := w.buffers[:c.from]
		for _, b := range w.buffers[c.from:] {
			if data, ok := w.transformed(n, b.Data); ok {
				kept = append(kept, app.Buffer{Data: data, Whole: b.Whole})
			}
		}
		w.buffers = kept
	}
	c.to = len(w.buffers)
	return w.buffers[c.from:c.to]
}

// searchTx makes the rules pending whose fast pattern is in the buffers of a search.
func (w *Worker) searchTx(st *txState, side *sideState, i int, s *search, tx app.Transaction, dir app.Direction) {
	word, bit := i>>6&3, uint64(1)<<(i&63)
	tracked := i < 64*len(side.scanned)
	if tracked && side.scanned[word]&bit != 0 {
		return
	}
	w.searchSlot(st, side, i, 0, s, w.slotBuffers(s.slot, tx, dir), nil, dir)
	settled := tx.Settled(w.set.slots[s.slot].kind, dir)
	if s.twin >= 0 {
		twin := w.slotBuffers(s.twin, tx, dir)
		w.searchSlot(st, side, i, 1<<16, s, twin, w.slotBuffers(s.slot, tx, dir), dir)
		settled = settled && tx.Settled(w.set.slots[s.twin].kind, dir)
	}
	if tracked && settled {
		side.scanned[word] |= bit
	}
}

// searchSlot searches what is new of buffers, unless it is the same in done, which was searched before.
func (w *Worker) searchSlot(st *txState, side *sideState, i, first int, s *search, buffers, done []app.Buffer, dir app.Direction) {
	raw := len(w.set.slots[s.slot].transforms) == 0
	for j := range buffers {
		b := &buffers[j]
		data, base := b.Data, b.Offset
		if raw {
			upTo := side.upTo(int32(i), int32(first+j))
			end := b.Offset + uint64(len(b.Data))
			if *upTo >= end+1 {
				continue
			}
			if *upTo > 0 {
				// As much of what was searched before as a pattern across the border needs.
				from := *upTo - 1
				if back := uint64(max(s.set.Longest()-1, anchorDepth)); from > back {
					from -= back
				} else {
					from = 0
				}
				if from > b.Offset {
					data = b.Data[min(from-b.Offset, uint64(len(b.Data))):]
					base = from
				}
			}
			*upTo = end + 1
		}
		if j < len(done) && done[j].Offset == b.Offset && len(done[j].Data) == len(b.Data) && bytes.HasSuffix(done[j].Data, data) {
			continue
		}
		if base <= anchorDepth {
			for k := range s.anchored {
				if a := &s.anchored[k]; a.in(data, base) {
					for _, n := range a.rules {
						st.add(n, w.sideOf(n, dir))
					}
				}
			}
		}
		w.hits.Reset(s.set)
		s.set.Scan(data, &w.hits)
		for _, h := range w.hits.Numbers {
			for _, n := range s.rules[h] {
				st.add(n, w.sideOf(n, dir))
			}
		}
	}
}

// upTo is how far a search has come in a buffer: 1 + the place, 0: it has not begun.
func (s *sideState) upTo(search, buffer int32) *uint64 {
	for i := range s.growing {
		if g := &s.growing[i]; g.search == search && g.buffer == buffer {
			return &g.upTo
		}
	}
	s.growing = append(s.growing, growing{search: search, buffer: buffer})
	return &s.growing[len(s.growing)-1].upTo
}
