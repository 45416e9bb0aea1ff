package ids

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/stream"
)

// tcp leads a packet of TCP along its way.
func (w *Worker) tcp(p *packet.Packet, f *Flow, dir app.Direction, v *Verdict) {
	if p.BadChecksum {
		// The receiver will not take it. It is looked at alone.
		w.Counters.BadChecksums++
		w.inspect(p, f, dir, v, detect.Input{})
		return
	}
	if f.TCP == nil {
		f.TCP = stream.NewSession(&w.engine.cfg.Stream, &w.budget)
	}
	was, full := f.TCP.State(), w.budget.Counters.MemoryFull
	a := f.TCP.Packet(p, dir, p.Src, p.Dst, &w.events)
	if a.Swap {
		w.swap(f)
		dir = dir.Other()
	}
	if a.Unknown || a.Picked {
		if p.TCP.Flags&packet.RST == 0 {
			w.except(f, w.engine.cfg.Exceptions.Midstream, "stream midstream", v)
		}
		if v.Drop || f.Action != Inspect {
			if f.Action == FlowPassed || f.Action == FlowBypassed {
				return
			}
			if v.Drop {
				return
			}
		}
	}
	if !a.Valid && w.engine.cfg.Inline && !a.Unknown && (a.Drop || w.engine.cfg.DropInvalid) {
		v.drop("stream error")
	}
	if a.Changed {
		fixChecksum(p)
		v.Changed = true
	}
	w.states(f, was)
	if w.budget.Counters.MemoryFull != full {
		w.except(f, w.engine.cfg.Exceptions.StreamMemory, "stream memcap", v)
	}
	if f.Action == FlowPassed || f.Action == FlowBypassed {
		f.TCP.Release()
		return
	}
	// The packet that ends the handshake may bring data.
	f.Detect.Established = f.Detect.Established || f.state == flowEstablished && len(p.Payload) > 0
	w.guard(f, func() { w.advance(f, dir) })
	done := w.gaveUp(f, v)
	in := detect.Input{InStream: a.InStream, StreamEvents: &w.events}
	if f.Detect.StreamBytes = [2]uint64{f.TCP.Sent(app.ToServer), f.TCP.Sent(app.ToClient)}; done || v.Drop && len(w.events.All()) == 0 {
		w.flush(f)
		return
	}
	if !w.engine.cfg.Inline && f.dirty[dir.Other()] {
		w.answered(f, dir.Other(), v)
	}
	w.onStream(p, f, dir, v, in, false)
	w.flush(f)
}

// answered inspects what a packet has acknowledged, if a message has become whole by it, in
// the direction in which it was sent: rules on the stream and on the parser's
// buffers are to see it at the same time.
func (w *Worker) answered(f *Flow, dir app.Direction, v *Verdict) {
	if w.detect == nil || f.Action != Inspect || !f.TCP.Triggered(dir) {
		return
	}
	if chunk, ok := f.TCP.Raw(dir, false); ok {
		in := detect.Input{Stream: chunk.Data, Old: chunk.Old, StreamOffset: chunk.Offset, StreamEvents: &w.none}
		w.inspect(w.made(f, dir), f, dir, v, in)
		f.TCP.RawTaken(dir, chunk)
	}
}

// states takes the connection's state as the flow's.
func (w *Worker) states(f *Flow, was stream.State) {
	now := f.TCP.State()
	switch {
	case now == stream.Closed:
		f.state = flowClosed
	case now >= stream.Established:
		f.state = flowEstablished
	default:
		return
	}
	if now != was {
		w.flows.touch(f, f.Last)
	}
}

// advance gives the application what has become ready.
func (w *Worker) advance(f *Flow, dir app.Direction) {
	order := [2]app.Direction{dir.Other(), dir}
	if w.engine.cfg.Inline {
		order = [2]app.Direction{dir, dir.Other()}
	}
	for _, d := range order {
		w.drain(f, d, false)
		if f.TCP.Finished(d) && f.app.session != nil {
			w.closeApp(f, d)
		}
	}
}

// drain gives the application what is there of a direction.
func (w *Worker) drain(f *Flow, dir app.Direction, eof bool) {
	s := f.TCP
	s.Settle(dir, eof, &w.events)
	for !f.broken {
		data, gap := s.App(dir, eof)
		n := len(data) + gap
		if n == 0 {
			return
		}
		s.AppTaken(dir, n)
		w.feed(f, dir, data, gap)
		if f.app.session.Reversed() && !f.reverse {
			w.swap(f)
			f.app.session = nil
			dir = dir.Other()
			w.feed(f, dir, data, gap)
		}
		if f.app.done != app.NotDone {
			s.AppOff(app.ToServer)
			s.AppOff(app.ToClient)
			return
		}
	}
}

// swap exchanges client and server: the flow's first packet was an answer.
func (w *Worker) swap(f *Flow) {
	f.reverse = true
	f.Client, f.Server = f.Server, f.Client
	f.seen[0], f.seen[1] = f.seen[1], f.seen[0]
	f.dirty[0], f.dirty[1] = f.dirty[1], f.dirty[0]
	d := &f.Detect
	d.Packets[0], d.Packets[1] = d.Packets[1], d.Packets[0]
	d.Bytes[0], d.Bytes[1] = d.Bytes[1], d.Bytes[0]
	d.Elephant[0], d.Elephant[1] = d.Elephant[1], d.Elephant[0]
	f.rates[0], f.rates[1] = f.rates[1], f.rates[0]
	if f.TCP != nil && f.TCP.State() >= stream.Established {
		f.TCP.Swap()
	}
}

// onStream inspects a packet with what is new in its direction's stream.
func (w *Worker) onStream(p *packet.Packet, f *Flow, dir app.Direction, v *Verdict, in detect.Input, eof bool) {
	chunk, ok := f.TCP.Raw(dir, eof)
	if ok {
		in.Stream, in.Old, in.StreamOffset = chunk.Data, chunk.Old, chunk.Offset
	}
	in.StreamEnd = eof
	w.inspect(p, f, dir, v, in)
	if ok {
		f.TCP.RawTaken(dir, chunk)
	}
}

// flush gives back what everybody has seen.
func (w *Worker) flush(f *Flow) {
	w.free(f)
	f.TCP.Release()
}
