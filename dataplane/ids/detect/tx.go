package detect

import (
	"slices"

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
	sided, isSided := tx.(app.Sided)
	for dir := app.ToServer; dir <= app.ToClient; dir++ {
		side := &st.sides[dir]
		if isSided && !sided.Inspected(dir) {
			continue
		}
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
	w.trim()
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
			w.enrichments = st.contextOf(&p)
			if w.set.profile != nil {
				w.profiled(p.rule, func() bool { a = w.tryTx(s, &p, tx); return a == yes })
			} else {
				a = w.tryTx(s, &p, tx)
			}
			if len(w.enrichments) > 0 {
				st.keepContext(&p, w.enrichments)
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
