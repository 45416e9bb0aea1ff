package stream

import (
	"bytes"
	"slices"
)

// Half is one direction of a connection: what its sender sent.
type Half struct {
	isn      uint32
	nextSeq  uint32 // after the last byte sent in order, as far as known
	lastAck  uint32 // what the receiver has acknowledged
	window   uint32 // what the receiver of our acks, that is this sender, announced
	nextWin  uint32 // the highest sequence number the receiver allows
	wscale   uint8
	lastTS   uint32
	firstTS  uint32 // of the SYN
	tsTime   int64
	policy   Policy
	started  bool
	sack     bool
	stopped  bool // nothing more is kept
	depthHit bool
	finSeq   uint32
	fin      bool

	// base is the sequence number of offset 0. Offsets are 64 bits wide, so that
	// long connections do not wrap.
	base uint32
	// buf holds the bytes from first on; spans say which of them have arrived,
	// in order of their beginning. They may overlap.
	first    uint64
	buf      []byte
	rooms    *rooms // where buf is from
	spans    []span
	gaps     []span  // missing for good
	urgentAt []int64 // left out, counted with themselves
	edge     uint64  // contiguous from the beginning up to here, gaps skipped

	app, raw  uint64 // taken up to here
	trigger   bool
	appOff    bool
	rawOff    bool
	rawStop   bool // raw is off once what is there has been taken
	depthFrom uint64
}

type span struct{ from, to uint64 }

// offset turns a sequence number into an offset. It may be negative: before the
// beginning.
func (h *Half) offset(seq uint32) int64 {
	o := h.rawOffset(seq)
	shift := int64(0)
	for _, u := range h.urgentAt {
		if u < o {
			shift++
		}
	}
	return o - shift
}

// rawOffset counts urgent bytes, too.
func (h *Half) rawOffset(seq uint32) int64 {
	near := h.first + uint64(len(h.urgentAt))
	return int64(near) + int64(int32(seq-(h.base+uint32(near))))
}

func (h *Half) right() uint64 { return h.first + uint64(len(h.buf)) }

// outcome is what became of a segment.
type outcome uint8

const (
	inserted outcome = iota
	old              // before what is kept
	refused          // no memory, or too many segments
	stoppedHere
)

// insert takes a segment. Where an earlier one wins, data is changed if rewrite is
// set.
func (h *Half) insert(from int64, data []byte, policy Policy, rewrite bool, maxSpans int) (o outcome, overlap, different, changed bool) {
	to := from + int64(len(data))
	if to <= int64(h.first) {
		return old, true, false, false
	}
	if from < int64(h.first) {
		data = data[int64(h.first)-from:]
		from = int64(h.first)
	}
	f, t := uint64(from), uint64(to)
	if len(h.spans) >= maxSpans {
		return refused, false, false, false
	}
	if n := len(h.spans); n > 0 && h.spans[n-1].to > f || f < h.right() {
		overlap, different, changed = h.resolve(f, data, policy, rewrite)
	} else {
		h.write(f, data)
	}
	h.note(span{f, t})
	if f <= h.edge && t > h.edge {
		h.advance()
	}
	return inserted, overlap, different, changed
}

// resolve writes data where it wins over what is there.
func (h *Half) resolve(f uint64, data []byte, policy Policy, rewrite bool) (overlap, different, changed bool) {
	t := f + uint64(len(data))
	result := data
	copied := false
	for _, s := range h.spans {
		if s.to <= f || s.from >= t {
			continue
		}
		from, to := max(s.from, f, h.first), min(s.to, t)
		if from >= to {
			continue
		}
		overlap = true
		there, here := h.buf[from-h.first:to-h.first], data[from-f:to-f]
		if bytes.Equal(there, here) {
			continue
		}
		different = true
		if policy.newWins(s.from, s.to, f, t) {
			continue
		}
		if !copied && !rewrite {
			result, copied = slices.Clone(data), true
		}
		copy(result[from-f:to-f], there)
		changed = true
	}
	h.write(f, result)
	return overlap, different, changed && rewrite
}

func (h *Half) write(f uint64, data []byte) {
	at := int(f - h.first)
	if need := at + len(data); need > len(h.buf) {
		old := len(h.buf)
		h.buf = h.rooms.grow(h.buf, need)[:need]
		if at > old {
			clear(h.buf[old:at])
		}
	}
	copy(h.buf[at:], data)
}

func (h *Half) note(s span) {
	i := len(h.spans)
	for i > 0 && h.spans[i-1].from > s.from {
		i--
	}
	h.spans = slices.Insert(h.spans, i, s)
}

// advance moves edge over what has arrived.
func (h *Half) advance() {
	for _, s := range h.spans {
		if s.from > h.edge {
			return
		}
		h.edge = max(h.edge, s.to)
	}
}

// gap is how many bytes are missing at the edge, if limit says that they will
// never come.
func (h *Half) gap(limit uint64) int {
	if h.edge >= limit {
		return 0
	}
	to := limit
	for _, s := range h.spans {
		if s.to > h.edge {
			to = min(to, max(s.from, h.edge))
			break
		}
	}
	return int(to - h.edge)
}

// skip takes a gap as past.
func (h *Half) skip(n int) {
	h.edge += uint64(n)
	if h.edge > h.right() {
		h.write(h.right(), make([]byte, h.edge-h.right()))
	}
	h.advance()
}

// release forgets what is before offset.
func (h *Half) release(offset uint64) {
	if offset <= h.first {
		return
	}
	offset = min(offset, h.right())
	n := int(offset - h.first)
	// Move only when it is worth it: bytes are moved once or twice in all.
	if n < len(h.buf) && n < 4096 && n < len(h.buf)-n {
		return
	}
	rest := copy(h.buf, h.buf[n:])
	h.buf = h.buf[:rest]
	if rest == 0 {
		h.rooms.put(h.buf)
		h.buf = nil
	}
	h.first = offset
	keep := 0
	for _, s := range h.spans {
		if s.to > offset {
			h.spans[keep] = s
			keep++
		}
	}
	h.spans = h.spans[:keep]
}

// bytes are those from an offset to another, which must have arrived.
func (h *Half) bytes(from, to uint64) []byte {
	from = max(from, h.first)
	if to <= from {
		return nil
	}
	return h.buf[from-h.first : to-h.first]
}

// halt keeps nothing more and forgets what is there.
func (h *Half) halt() {
	h.stopped = true
	h.empty()
}

// empty gives back what the bytes are kept in.
func (h *Half) empty() {
	h.rooms.put(h.buf)
	h.buf, h.spans = nil, h.spans[:0]
	if cap(h.spans) > keptSpans {
		h.spans = nil
	}
}

// keptSpans is how many a half that holds nothing keeps the memory of.
const keptSpans = 64

// renew makes h a new half that uses what it was kept in.
func (h *Half) renew(r *rooms) {
	*h = Half{rooms: r, spans: h.spans[:0], gaps: h.gaps[:0], urgentAt: h.urgentAt[:0]}
	if cap(h.gaps) > keptSpans {
		h.gaps = nil
	}
}
