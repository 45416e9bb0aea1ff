package stream

import (
	"slices"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

// farthest is how far beyond the bytes in order a segment may be kept, where
// no depth bounds it.
const farthest = 8 << 20

// maxUrgent is how many urgent bytes a direction may have.
const maxUrgent = 64

// segment takes a packet's payload, which begins at seq.
func (c *step) segment(seq uint32) {
	h, data := c.mine, c.p.Payload
	if len(data) == 0 || !h.started {
		return
	}
	if h.stopped {
		return
	}
	if t := &c.p.TCP; t.Flags&packet.URG != 0 && t.Urgent > 0 && int(t.Urgent) <= len(data) && c.cfg.Urgent != UrgentInline {
		c.urgent(seq, data, int(t.Urgent)-1)
		return
	}
	c.put(h.offset(seq), data)
}

// urgent leaves the urgent byte, which is that before the pointer's, out.
func (c *step) urgent(seq uint32, data []byte, at int) {
	h := c.mine
	switch {
	case c.cfg.Urgent == UrgentDrop && c.cfg.Inline, len(h.urgentAt) == maxUrgent:
		if len(h.urgentAt) == maxUrgent {
			c.ev.Add(packet.StreamReassemblyUrgentOobLimitReached)
		}
		c.answer.Valid, c.answer.Drop = false, c.cfg.Inline
		return
	case c.cfg.Urgent == UrgentGap:
		from := h.offset(seq)
		if at > 0 {
			c.put(from, data[:at])
		}
		if at+1 < len(data) {
			c.put(from+int64(at)+1, data[at+1:])
		}
		return
	}
	raw := h.rawOffset(seq + uint32(at))
	before := h.offset(seq)
	if !slices.Contains(h.urgentAt, raw) {
		h.urgentAt = append(h.urgentAt, raw)
		slices.Sort(h.urgentAt)
	}
	if at > 0 {
		c.put(before, data[:at])
	}
	if at+1 < len(data) {
		c.put(h.offset(seq+uint32(at)+1), data[at+1:])
	}
	c.answer.InStream = true
}

func (c *step) put(from int64, data []byte) {
	h := c.mine
	if from < 0 {
		if int64(len(data)) <= -from {
			c.ev.Add(packet.StreamReassemblySegmentBeforeBaseSeq)
			c.answer.InStream = true
			return
		}
		data = data[-from:]
		from = 0
	}
	end := uint64(from) + uint64(len(data))
	if c.cfg.Depth > 0 && end > c.cfg.Depth+h.depthFrom {
		if !h.depthHit {
			h.depthHit = true
			c.ev.Add(packet.StreamReassemblyDepthReached)
		}
		keep := int64(c.cfg.Depth+h.depthFrom) - from
		if keep <= 0 {
			return
		}
		data = data[:keep]
		end = uint64(from) + uint64(keep)
	}
	if end > h.edge+farthest || c.budget.Bytes+len(data) > c.cfg.Memory {
		c.budget.Counters.MemoryRefused++
		if end > h.edge+farthest {
			c.ev.Add(packet.StreamReassemblyInsertLimit)
		} else {
			c.budget.Counters.MemoryFull++
			c.ev.Add(packet.StreamReassemblyInsertMemcap)
		}
		return
	}
	edge := h.edge
	what, overlap, different, changed := h.insert(from, data, h.policy, c.cfg.Inline, c.cfg.MaxSpans)
	c.budget.Counters.Segments++
	if overlap {
		c.budget.Counters.Overlaps++
	}
	if different {
		c.budget.Counters.DifferentData++
		c.ev.Add(packet.StreamReassemblyOverlapDifferentData)
	}
	switch what {
	case old:
		c.ev.Add(packet.StreamReassemblySegmentBeforeBaseSeq)
		c.answer.InStream = true
	case inserted:
		// Inline, what is ahead of its turn is looked at by itself, for it passes now.
		c.answer.InStream = !c.cfg.Inline || h.edge > edge || overlap
		c.answer.Changed = c.answer.Changed || changed
	case refused:
		c.budget.Counters.MemoryRefused++
		c.ev.Add(packet.StreamReassemblyInsertLimit)
	}
	c.account()
}

// account keeps the budget.
func (s *Session) account() {
	now := 0
	for i := range s.half {
		now += cap(s.half[i].buf)
		if n := cap(s.half[i].spans); n > keptSpans {
			now += n * 16
		}
	}
	s.budget.Bytes += now - s.held
	s.held = now
}

// dropHeld forgets what a direction has sent.
func (s *Session) dropHeld(h *Half) {
	h.empty()
	h.edge, h.app, h.raw, h.first = 0, 0, 0, 0
	s.account()
}

// Close gives back all that it holds; what it says of the connection stays.
func (s *Session) Close() {
	for i := range s.half {
		s.half[i].halt()
	}
	s.account()
}

// spareSessions bounds those that are kept for the next connections.
const spareSessions = 4096

// Forget gives a closed session itself back: another connection will use it.
func (s *Session) Forget() {
	if b := s.budget; len(b.spare) < spareSessions {
		b.spare = append(b.spare, s)
	}
}

// limit is how far bytes of a direction count.
func (s *Session) limit(h *Half, eof bool) uint64 {
	if s.cfg.Inline || eof || s.async {
		return h.edge
	}
	return h.acked()
}

// acked is how far the receiver has acknowledged, the FIN aside.
func (h *Half) acked() uint64 {
	seq := h.lastAck
	if h.fin && before(h.finSeq, seq) {
		seq = h.finSeq
	}
	o := h.offset(seq)
	if o < 0 {
		return 0
	}
	return uint64(o)
}

// Settle decides which missing bytes will never come: those that the receiver has
// acknowledged, or, at the end, all. Call it after each packet, for both directions.
func (s *Session) Settle(dir app.Direction, eof bool, ev *packet.Events) {
	h := &s.half[dir]
	if h.stopped || !h.started {
		return
	}
	for {
		limit := h.acked()
		if s.cfg.Depth > 0 {
			limit = min(limit, s.cfg.Depth+h.depthFrom)
		}
		if eof {
			limit = max(min(limit, h.right()), h.right())
		}
		n := h.gap(limit)
		if n == 0 {
			return
		}
		if n == 1 && h.edge >= h.right() && (s.state > Established || eof) {
			return // the acknowledgement of a FIN that passed us by
		}
		if h.edge >= h.right() && len(h.spans) == 0 && h.edge == 0 && s.Midstream {
			// A direction of which nothing is ever seen has no gaps.
			return
		}
		ev.Add(packet.StreamReassemblySeqGap)
		s.budget.Counters.Gaps++
		s.budget.Counters.GapBytes += uint64(n)
		h.gaps = append(h.gaps, span{h.edge, h.edge + uint64(n)})
		h.skip(n)
		s.account()
	}
}

// App is what the application's parser has not taken: bytes, or a number of
// bytes that will never come. Both 0: nothing.
func (s *Session) App(dir app.Direction, eof bool) (data []byte, gap int) {
	h := &s.half[dir]
	if h.stopped || h.appOff {
		return nil, 0
	}
	return h.next(h.app, s.limit(h, eof))
}

// next is what follows an offset, up to a limit or a gap.
func (h *Half) next(from, limit uint64) (data []byte, gap int) {
	limit = min(limit, h.edge)
	for _, g := range h.gaps {
		if from >= g.from && from < g.to {
			return nil, int(g.to - from)
		}
		if g.from > from {
			limit = min(limit, g.from)
			break
		}
	}
	if limit <= from {
		return nil, 0
	}
	return h.bytes(from, limit), 0
}

// AppTaken says that n bytes were taken, or a gap was seen.
func (s *Session) AppTaken(dir app.Direction, n int) { s.half[dir].app += uint64(n) }

// AppOff says that the application takes nothing more of a direction.
func (s *Session) AppOff(dir app.Direction) { s.half[dir].appOff = true }

// AppIsOff says whether that was said.
func (s *Session) AppIsOff(dir app.Direction) bool { return s.half[dir].appOff }

// AppProgress is how many bytes of a direction the application has taken.
func (s *Session) AppProgress(dir app.Direction) uint64 { return s.half[dir].app }

// Chunk is data for rules on streams.
type Chunk struct {
	Data   []byte
	Old    int // of Data, has been inspected before
	Offset uint64
}

// Raw is what rules on streams have not looked at, when there is enough of it or
// Trigger asks for it.
func (s *Session) Raw(dir app.Direction, eof bool) (Chunk, bool) {
	h := &s.half[dir]
	if h.stopped || h.rawOff {
		return Chunk{}, false
	}
	limit := s.limit(h, eof)
	data, gap := h.next(h.raw, limit)
	if gap > 0 {
		h.raw += uint64(gap)
		data, _ = h.next(h.raw, limit)
	}
	if len(data) == 0 {
		return Chunk{}, false
	}
	if s.cfg.Inline {
		// With what came before, so that matches across packets are found. As in Suricata
		// all of it is looked at again with each packet, and may match again.
		from := max(h.first, h.raw-min(h.raw, uint64(s.cfg.Chunks[dir])))
		for _, g := range h.gaps {
			if g.to <= h.raw {
				from = max(from, g.to)
			}
		}
		return Chunk{h.bytes(from, h.raw+uint64(len(data))), 0, from}, true
	}
	if !eof && !h.trigger && !h.depthHit && !h.rawStop && len(data) < s.cfg.Chunks[dir] && s.state != Closed {
		return Chunk{}, false
	}
	return Chunk{data, 0, h.raw}, true
}

// RawTaken says that a chunk was inspected.
func (s *Session) RawTaken(dir app.Direction, c Chunk) {
	h := &s.half[dir]
	h.raw = max(h.raw, c.Offset+uint64(len(c.Data)))
	h.trigger = false
	if h.rawStop {
		h.rawOff = true
	}
}

// Trigger has what there is inspected with the next packet.
func (s *Session) Trigger(dir app.Direction) { s.half[dir].trigger = true }

// Triggered says whether that was asked for.
func (s *Session) Triggered(dir app.Direction) bool { return s.half[dir].trigger }

// RawOff says that rules look at nothing more.
func (s *Session) RawOff(dir app.Direction) { s.half[dir].rawOff = true }

// Release forgets what everybody has taken.
func (s *Session) Release() {
	for d := range s.half {
		h := &s.half[d]
		if h.stopped || !h.started {
			continue
		}
		to := h.edge
		if !h.appOff {
			to = min(to, h.app)
		}
		if !h.rawOff {
			keep := uint64(0)
			if s.cfg.Inline {
				keep = uint64(s.cfg.Chunks[d])
			}
			to = min(to, h.raw-min(h.raw, keep))
		}
		if !s.cfg.Inline {
			// Unacknowledged bytes may yet be overwritten.
			to = min(to, max(h.acked(), h.first))
		}
		h.release(to)
		for len(h.gaps) > 0 && h.gaps[0].to <= h.first {
			h.gaps = h.gaps[1:]
		}
		if h.depthHit && to >= h.edge && (h.appOff || h.app >= h.edge) && (h.rawOff || h.raw >= h.edge) && len(h.spans) == 0 {
			h.halt()
		}
	}
	s.account()
}

// Pending says whether a direction has bytes that were not inspected.
func (s *Session) Pending(dir app.Direction) bool {
	h := &s.half[dir]
	if h.stopped || !h.started {
		return false
	}
	return !h.appOff && h.app < h.right() || !h.rawOff && h.raw < h.right()
}

// RawPending says whether rules on streams have not seen all of a direction.
func (s *Session) RawPending(dir app.Direction) bool {
	h := &s.half[dir]
	return h.started && !h.stopped && !h.rawOff && h.raw < h.right()
}

// DepthReached says that nothing more of a direction is put in order.
func (s *Session) DepthReached(dir app.Direction) bool { return s.half[dir].depthHit }

// Sent is how many bytes a direction has sent, by sequence numbers (stream_size).
func (s *Session) Sent(dir app.Direction) uint64 {
	h := &s.half[dir]
	if !h.started {
		return 0
	}
	return uint64(h.nextSeq - h.isn)
}

// Swap exchanges client and server.
func (s *Session) Swap() {
	s.half[0], s.half[1] = s.half[1], s.half[0]
	s.Seen[0], s.Seen[1] = s.Seen[1], s.Seen[0]
	s.resetBy = s.resetBy.Other()
}

// Finished says that a direction sends no more, and that all of it was taken: a FIN
// whose turn has come, or a RST.
func (s *Session) Finished(dir app.Direction) bool {
	h := &s.half[dir]
	if s.state == Closed && (h.stopped || h.app >= h.right()) {
		return true
	}
	return h.fin && h.offset(h.finSeq) <= int64(h.app)
}

// IsReset says whether a RST ended it.
func (s *Session) IsReset() bool { return s.reset }
