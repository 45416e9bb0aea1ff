package detect

import (
	"unsafe"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

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
	settled := tx.Settled(kind, dir) || tx.Complete(dir)
	if t.file && len(tx.Files(dir)) > 0 {
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
	x, ok := bufferOf(w.set.slots[n].kind, f)
	settled = f.State != app.FileOpen
	if !ok {
		return nil, settled
	}
	settled = settled || x.Whole
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

// bufferOf is the buffer of a kind that a file has, if it has it by now.
func bufferOf(kind *rule.BufferKind, f *app.File) (app.Buffer, bool) {
	closed := f.State != app.FileOpen
	switch kind.Name {
	case "file.magic":
		name := magic(f)
		return app.Buffer{Data: name, Whole: true}, name != nil
	case "file.name":
		return app.Buffer{Data: unsafe.Slice(unsafe.StringData(f.Name), len(f.Name)), Whole: true}, f.Name != "" // it is read alone
	}
	return app.Buffer{Data: f.Data, Offset: f.Offset, Whole: closed}, f.Size > 0 || closed
}
