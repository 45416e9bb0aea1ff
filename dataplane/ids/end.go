package ids

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
)

// end ends a flow: what was not inspected is now, with packets of our own
// making, one in each direction.
func (w *Worker) end(f *Flow, reason string) {
	w.ending = f
	if f.TCP != nil && !f.broken && f.Action == Inspect {
		w.guard(f, func() {
			for _, dir := range [...]app.Direction{app.ToServer, app.ToClient} {
				w.drain(f, dir, true)
				w.closeApp(f, dir)
			}
		})
		for _, dir := range [...]app.Direction{app.ToServer, app.ToClient} {
			w.last(f, dir)
		}
	} else if f.app.session != nil && f.Action == Inspect {
		w.guard(f, func() {
			w.closeApp(f, app.ToServer)
			w.closeApp(f, app.ToClient)
		})
		if f.dirty[0] || f.dirty[1] {
			w.last(f, app.ToServer)
			w.last(f, app.ToClient)
		}
	}
	if s := f.app.session; s != nil && !f.broken {
		w.guard(f, func() {
			for _, t := range s.Transactions() {
				w.logTransaction(f, t)
			}
		})
	}
	if f.TCP != nil {
		f.TCP.Close()
	}
	w.flows.remove(f)
	if log := w.engine.deps.Log; log != nil {
		if f.app.session != nil {
			w.appAnomalies(f, nil, f.app.session.Events())
		}
		log.Flow(f, reason)
	}
	w.forget(f)
	w.ending = nil
}

// forget gives back what a flow was kept in, for others to use. What has panicked is left alone:
// nobody knows what state it is in.
func (w *Worker) forget(f *Flow) {
	if f.broken {
		return
	}
	if w.detect != nil {
		w.detect.Forget(&f.Detect)
	}
	if f.TCP != nil {
		f.TCP.Forget()
		f.TCP = nil
	}
	if f.app.session != nil {
		w.apps.Put(f.app.session)
		f.app.session = nil
	}
	w.flows.forget(f)
}

// last inspects what is left of a direction.
func (w *Worker) last(f *Flow, dir app.Direction) {
	p := w.made(f, dir)
	w.events.Reset()
	var v Verdict
	in := detect.Input{StreamEnd: true}
	f.Detect.Established = f.state >= flowEstablished
	if f.TCP == nil {
		w.inspect(p, f, dir, &v, in)
		return
	}
	for n := 0; n == 0 || n < 64 && f.TCP.Pending(dir); n++ {
		w.onStream(p, f, dir, &v, in, true)
		if f.Action != Inspect {
			return
		}
	}
}

// made is a packet of a flow without any payload.
func (w *Worker) made(f *Flow, dir app.Direction) *packet.Packet {
	p := &w.pseudo[dir]
	src, dst := f.Client, f.Server
	if dir == app.ToClient {
		src, dst = dst, src
	}
	*p = packet.Packet{
		Time: f.Last, Number: w.decoder.Number(), Version: 4, Src: src.Addr(), Dst: dst.Addr(), SrcPort: src.Port(), DstPort: dst.Port(),
		Protocol: f.Protocol, VLANs: f.VLANs, VLANCount: f.VLANCount, Made: true,
	}
	h := &w.headers[dir]
	clear(h[:])
	n := 20
	if !src.Addr().Is4() {
		p.Version, n = 6, 40
		h[0], h[6], h[7] = 0x60, f.Protocol, 64
		copy(h[8:], src.Addr().AsSlice())
		copy(h[24:], dst.Addr().AsSlice())
	} else {
		h[0], h[3], h[8], h[9] = 0x45, 40, 64, f.Protocol
		copy(h[12:], src.Addr().AsSlice())
		copy(h[16:], dst.Addr().AsSlice())
	}
	t := h[n:]
	t[0], t[1], t[2], t[3] = byte(p.SrcPort>>8), byte(p.SrcPort), byte(p.DstPort>>8), byte(p.DstPort)
	size := 8
	if f.Protocol == protoTCP {
		size = 20
		t[12], t[13] = 0x50, packet.ACK
		p.TCP = packet.TCP{Flags: packet.ACK, WScale: -1}
	}
	p.Network, p.Transport, p.Frame, p.IP = h[:n], t[:size:size], h[:n+size], h[:n+size]
	p.Length = n + size
	return p
}
