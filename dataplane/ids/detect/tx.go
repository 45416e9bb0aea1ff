package detect

import (
	"bytes"
	"slices"
	"unsafe"

	"ngfw.sh/dataplane/ids/app"
)

// transaction evaluates the rules of transactions on one.
func (w *Worker) transaction(tx app.Transaction) {
	rules := w.set.transactions[w.flow.Protocol]
	if rules == nil {
		return
	}
	st := w.txState(tx.ID())
	if st == nil {
		return
	}
	w.tx = tx
	if w.turn++; w.turn == 0 {
		clear(w.cache)
		w.turn = 1
	}
	w.buffers = w.buffers[:0]
	for dir := app.ToServer; dir <= app.ToClient; dir++ {
		side := &st.sides[dir]
		if !side.started {
			side.started = true
			for _, n := range rules.others[dir] {
				st.add(n, w.sideOf(n, dir))
			}
		}
		if side.ended {
			continue
		}
		w.txDir = dir
		for i, s := range rules.searches[dir] {
			w.searchTx(st, side, i, s, tx, dir)
		}
		side.ended = tx.Complete(dir)
	}
	w.pendingRules(st, tx)
	if tx.Complete(app.ToServer) && tx.Complete(app.ToClient) {
		w.endTx(st)
	}
	w.tx = nil
}

// sideOf is the side that a rule is kept under: one that looks at both is so once.
func (w *Worker) sideOf(n int32, dir app.Direction) app.Direction {
	if w.set.rules[n].both {
		return app.ToServer
	}
	return dir
}

// txState finds what is remembered of a transaction, or begins to; nil: it is done with.
func (w *Worker) txState(id uint64) *txState {
	f := w.flow
	if id < f.doneBelow {
		return nil
	}
	for i := len(f.transactions) - 1; i >= 0; i-- {
		if t := f.transactions[i]; t.id == id {
			if t.done {
				return nil
			}
			return t
		}
	}
	if len(f.transactions) >= maxOpenState {
		// The oldest goes: who keeps so many open is not served.
		w.state.Counters.Evicted.Add(1)
		f.doneBelow = max(f.doneBelow, f.transactions[0].id+1)
		w.free = append(w.free, f.transactions[0])
		f.transactions = slices.Delete(f.transactions, 0, 1)
	}
	var t *txState
	if n := len(w.free); n > 0 {
		t, w.free = w.free[n-1], w.free[:n-1]
	} else {
		t = &txState{}
	}
	t.reset(id)
	f.transactions = append(f.transactions, t)
	return t
}

// endTx forgets a transaction, but for its being done.
func (w *Worker) endTx(st *txState) {
	st.done = true
	f := w.flow
	for len(f.transactions) > 0 && f.transactions[0].done && f.transactions[0].id == f.doneBelow {
		f.doneBelow++
		w.free = append(w.free, f.transactions[0])
		copy(f.transactions, f.transactions[1:])
		f.transactions = f.transactions[:len(f.transactions)-1]
	}
	if len(w.free) > 1024 {
		clear(w.free[1024:])
		w.free = w.free[:1024]
	}
}

// slotBuffers are the buffers of a slot in the transaction, as they are now.
func (w *Worker) slotBuffers(n int32, tx app.Transaction, dir app.Direction) []app.Buffer {
	c := &w.cache[2*n+int32(dir)]
	if c.turn == w.turn {
		return w.buffers[c.from:c.to]
	}
	s := &w.set.slots[n]
	c.turn, c.from = w.turn, len(w.buffers)
	w.buffers = s.buffers(tx, dir, w.buffers)
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
	settled := w.set.slots[s.slot].settled(tx, dir)
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

// pendingRules evaluates what may match by now, in the order of the rules.
func (w *Worker) pendingRules(st *txState, tx app.Transaction) {
	slices.SortFunc(st.pending, func(a, b pending) int {
		if a.rule != b.rule {
			return int(a.rule - b.rule)
		}
		return int(a.dir) - int(b.dir)
	})
	kept := st.pending[:0]
	for _, p := range st.pending {
		s := w.set.rules[p.rule]
		w.orient(p.dir)
		for {
			var a answer
			if w.set.profile != nil {
				w.profiled(p.rule, func() bool { a = w.tryTx(s, &p, tx); return a == yes })
			} else {
				a = w.tryTx(s, &p, tx)
			}
			if a == yes {
				w.tellTx(st, s, &p, tx)
				// A rule on files matches once for each.
				if s.files != 0 && w.nextFile(s, &p, tx) {
					continue
				}
				a = never
				if s.files != 0 && !tx.Complete(p.dir) {
					a = notYet
				}
			}
			if a == notYet {
				kept = append(kept, p)
			}
			break
		}
	}
	st.pending = kept
	w.orient(w.dir)
}

// tellTx notes a match in a transaction, unless it was noted before the rules were replaced.
func (w *Worker) tellTx(st *txState, s *signature, p *pending, tx app.Transaction) {
	id := uint64(s.rule.GID)<<33 | uint64(s.rule.SID)<<1 | uint64(p.dir)
	if s.perTx {
		id &^= 1 // an event of the transaction is of neither direction
	}
	if s.files != 0 {
		id ^= uint64(p.file+1) << 48
	}
	if slices.Contains(st.told, id) {
		return
	}
	st.told = append(st.told, id)
	w.orient(p.dir)
	w.matched(s, tx, false)
}

// nextFile moves a rule to the next file; false: there is none yet.
func (w *Worker) nextFile(s *signature, p *pending, tx app.Transaction) bool {
	p.file++
	p.had &^= s.files
	return p.file < len(tx.Files(p.dir))
}

// theFile is the file that a rule is being tried on, nil if there is none yet.
func (w *Worker) theFile(tx app.Transaction, dir app.Direction) *app.File {
	if files := tx.Files(dir); w.file < len(files) {
		return files[w.file]
	}
	return nil
}

// orient makes a side the sender.
func (w *Worker) orient(dir app.Direction) {
	p := w.packet
	w.txDir = dir
	if dir == w.dir {
		w.src, w.dst, w.sport, w.dport = p.Src, p.Dst, p.SrcPort, p.DstPort
	} else {
		w.src, w.dst, w.sport, w.dport = p.Dst, p.Src, p.DstPort, p.SrcPort
	}
}

// tryTx evaluates a rule as far as it can be by now.
func (w *Worker) tryTx(s *signature, p *pending, tx app.Transaction) answer {
	if !s.header(w) {
		return never
	}
	waits := false
	for i := 0; i < len(s.tests); i++ {
		w.file = p.file
		bit := uint64(1) << i
		if p.had&bit != 0 {
			continue
		}
		t := &s.tests[i]
		a := never
		if s.both {
			for dir := app.ToServer; dir <= app.ToClient; dir++ {
				if dir == app.ToServer && !t.toServer || dir == app.ToClient && !t.toClient {
					continue
				}
				w.txDir = dir
				if x := w.test(s, t, tx, dir); x == yes || x == notYet && a == never {
					a = x
				}
				if a == yes {
					break
				}
			}
			w.txDir = p.dir
		} else if p.dir == app.ToServer && t.toServer || p.dir == app.ToClient && t.toClient {
			a = w.test(s, t, tx, p.dir)
		}
		switch a {
		case yes:
			p.had |= bit
		case never:
			if !t.file {
				return never
			}
			if w.nextFile(s, p, tx) {
				i, waits = -1, false // from the beginning, for what the tests before found out of files
				continue
			}
			if tx.Complete(p.dir) {
				return never
			}
			return notYet
		default:
			waits = true
		}
	}
	if waits {
		return notYet
	}
	if !w.checks(s.checks) || !w.checks(s.state) {
		if s.rule.Fast.Length > 0 || tx.Complete(p.dir) {
			return never // nothing that will be seen later leads to the rule again
		}
		return notYet
	}
	return yes
}

// test is one test of a transaction.
func (w *Worker) test(s *signature, t *txTest, tx app.Transaction, dir app.Direction) answer {
	switch {
	case t.check != nil:
		return t.check(w, tx, dir)
	case t.payload:
		// The packet's direction is what it can be matched in.
		if w.dir == dir || s.both {
			if _, ok := w.payload(s); ok {
				return yes
			}
		}
		for _, h := range w.flow.streamHad {
			if h.rule == s.order && (h.dir == dir || s.both) && tx.ID() <= h.upTo {
				return yes
			}
		}
		return decided(false, tx, dir)
	}
	kind := w.set.slots[t.slot].kind
	var buffers []app.Buffer
	settled := w.set.slots[t.slot].settled(tx, dir)
	if t.file && len(tx.Files(dir)) > 0 && kind.Name != "file.magic" {
		buffers, settled = w.fileBuffer(t.slot, tx, dir)
	} else {
		buffers = w.slotBuffers(t.slot, tx, dir)
	}
	if t.only {
		switch {
		case len(buffers) > 0:
			return never
		case settled:
			return yes
		}
		return notYet
	}
	waits := false
	for i := range buffers {
		b := &buffers[i]
		whole := b.Whole || settled
		if t.program.patient && !whole {
			waits = true
			continue
		}
		if w.match(t.program, buffer{data: b.Data, base: b.Offset, whole: whole}) {
			return yes
		}
		waits = waits || !whole
	}
	switch {
	case t.absent && len(buffers) == 0 && settled:
		return yes
	case settled && !waits:
		return never
	}
	return notYet
}

// tryStream matches the part of a rule of transactions that is about the stream, and remembers it for
// those that are open.
func (w *Worker) tryStream(s *signature) {
	if w.flow == nil || !s.onStream || len(w.in.Stream) <= w.in.Old {
		return
	}
	if !w.programs(s, w.in.Stream, w.in.StreamOffset, w.in.Old) {
		return
	}
	h := streamHad{rule: s.order, dir: w.dir, upTo: w.flow.doneBelow}
	if n := len(w.flow.transactions); n > 0 {
		h.upTo = w.flow.transactions[n-1].id
	}
	for _, tx := range w.in.Transactions {
		h.upTo = max(h.upTo, tx.ID())
	}
	had := &w.flow.streamHad
	for i := range *had {
		if x := &(*had)[i]; x.rule == h.rule && x.dir == h.dir {
			x.upTo = h.upTo
			return
		}
	}
	if len(*had) == maxStreamHad {
		*had = append((*had)[:0], (*had)[1:]...)
	}
	*had = append(*had, h)
}

// fileBuffer is the buffer that the file has which a rule is being tried on.
func (w *Worker) fileBuffer(n int32, tx app.Transaction, dir app.Direction) (b []app.Buffer, settled bool) {
	f := w.theFile(tx, dir)
	if f == nil {
		return nil, tx.Complete(dir)
	}
	settled = f.State != app.FileOpen
	x := app.Buffer{Data: f.Data, Offset: f.Offset, Whole: settled}
	if w.set.slots[n].kind.Name == "file.name" {
		if f.Name == "" {
			return nil, settled
		}
		x = app.Buffer{Data: unsafe.Slice(unsafe.StringData(f.Name), len(f.Name)), Whole: true} // read alone
		settled = true
	} else if f.Size == 0 && !settled {
		return nil, false
	}
	if len(w.set.slots[n].transforms) > 0 {
		data, ok := w.transformed(n, x.Data)
		if !ok {
			return nil, settled
		}
		x = app.Buffer{Data: data, Whole: x.Whole}
	}
	w.fileOf[0] = x
	return w.fileOf[:], settled
}
