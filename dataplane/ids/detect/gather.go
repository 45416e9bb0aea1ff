package detect

import (
	"bytes"
	"slices"
)

// gather finds the rules of packets that are worth evaluating.
func (w *Worker) gather() {
	w.candidates = w.candidates[:0]
	if w.epoch++; w.epoch == 0 {
		clear(w.seen)
		w.epoch = 1
	}
	t := transportOf(w.packet.Protocol)
	one, last := int(w.dir), int(w.dir)
	if w.flow == nil {
		one, last = 0, 1
	}
	for dir := one; dir <= last; dir++ {
		s := w.set
		others := &s.others[t][dir]
		w.addAll(others.any)
		if others.ports != nil {
			w.addAll(others.ports[w.dport])
		}
		if others.from != nil {
			w.addAll(others.from[w.sport])
		}
		payload, stream := w.packet.Payload, w.in.Stream
		switch {
		case t != overTCP:
			w.search(s.packets[t][dir], payload)
		case len(stream) > w.in.Old:
			if w.in.InStream && bytes.HasSuffix(stream, payload) {
				w.searchStream(s.whole[dir], dir)
				break
			}
			w.searchStream(s.streams[dir], dir)
			fallthrough
		default:
			if w.in.InStream {
				w.search(s.segments[dir], payload)
				w.search(s.starts[dir], payload[:min(len(payload), startDepth)])
			} else {
				w.search(s.packets[t][dir], payload)
			}
		}
	}
	slices.Sort(w.candidates)
}

func (w *Worker) addAll(rules []int32) {
	for _, n := range rules {
		if w.seen[n] != w.epoch {
			w.seen[n] = w.epoch
			w.candidates = append(w.candidates, n)
		}
	}
}

// search adds the rules whose fast pattern is in data.
func (w *Worker) search(s *search, data []byte) {
	if s == nil || len(data) == 0 {
		return
	}
	w.searchAnchored(s, data, 0)
	w.hits.Reset(s.set)
	s.set.Scan(data, &w.hits)
	for _, n := range w.hits.Numbers {
		w.addAll(s.rules[n])
	}
}

// searchStream searches what is new of the stream, and adds the rules that were found in what
// is old and still kept.
func (w *Worker) searchStream(s *search, dir int) {
	in := w.in
	if s == nil || w.flow == nil {
		if s != nil {
			w.search(s, in.Stream)
		}
		return
	}
	w.searchAnchored(s, in.Stream, in.StreamOffset)
	w.searchAnchored(s, w.packet.Payload, 0)
	// A pattern may begin in what is old.
	from := max(in.Old-s.set.Longest()+1, 0)
	end := in.StreamOffset + uint64(len(in.Stream))
	inStream := &w.flow.inStream[dir]
	if in.StreamOffset+uint64(in.Old) != inStream.end {
		// Not where the last search ended: all of it is new.
		from, inStream.rules = 0, inStream.rules[:0]
	}
	inStream.end = end
	kept := inStream.rules[:0]
	for _, x := range inStream.rules {
		if x.at > in.StreamOffset {
			kept = append(kept, x)
			w.addAll(w.one(x.rule))
		}
	}
	inStream.rules = kept
	w.hits.Reset(s.set)
	s.set.Scan(in.Stream[from:], &w.hits)
	for _, n := range w.hits.Numbers {
		for _, r := range s.rules[n] {
			inStream.add(r, end)
		}
		w.addAll(s.rules[n])
	}
}

func (w *Worker) one(n int32) []int32 {
	w.single[0] = n
	return w.single[:]
}
