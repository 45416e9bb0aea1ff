package detect

// payload matches in the stream, and where there was nothing or the rule looks at packets too, in
// the packet.
func (w *Worker) payload(s *signature) (onStream, ok bool) {
	if len(s.payload) == 0 {
		return false, s.asn1 == nil || s.asn1.match(w.packet.Payload, 0)
	}
	in := w.in
	if s.onStream && w.packet.Protocol == protoTCP && w.flow != nil {
		if len(in.Stream) > in.Old && w.programs(s, in.Stream, in.StreamOffset, in.Old) {
			return true, true
		}
		if !s.onPacket && in.InStream || s.onlyStream() {
			return false, false
		}
	} else if s.onlyStream() {
		return false, false
	}
	if len(w.packet.Payload) == 0 {
		return false, false
	}
	w.inPacket = true
	ok = w.programs(s, w.packet.Payload, 0, 0)
	w.inPacket = false
	return false, ok
}

// programs matches in the payload. What was found before the byte old is no news.
func (w *Worker) programs(s *signature, data []byte, base uint64, old int) bool {
	furthest, positive := 0, false
	for i, p := range s.payload {
		d := data
		if slot := s.payloadSlots[i]; slot >= 0 {
			var ok bool
			if d, ok = w.transformed(slot, data); !ok || !w.match(p, buffer{data: d, whole: true}) {
				return false
			}
			furthest = len(data)
			continue
		}
		if !w.match(p, buffer{data: d, base: base, whole: true}) {
			return false
		}
		furthest = max(furthest, w.furthest)
		positive = positive || !p.negative
		if s.asn1 != nil && !s.asn1.match(d, w.furthest) {
			return false
		}
	}
	return furthest > old || !positive || old == 0
}

// transformed is what becomes of data in a slot.
func (w *Worker) transformed(slot int32, data []byte) ([]byte, bool) {
	for _, t := range w.set.slots[slot].transforms {
		n := len(w.arena)
		out, ok := t(w, w.arena[n:n:cap(w.arena)], data)
		if !ok {
			return nil, false
		}
		// What was appended stays until the end of this Inspect.
		if len(out) > 0 && n+len(out) <= cap(w.arena) && cap(w.arena) > n && &out[0] == &w.arena[:n+1][n] {
			w.arena = w.arena[:n+len(out)]
		} else if len(out) > cap(w.arena) {
			w.arena = make([]byte, 0, 2*len(out)+4096)
		}
		data = out
	}
	return data, true
}
