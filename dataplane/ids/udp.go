package ids

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
)

// udp leads a datagram along its way.
func (w *Worker) udp(p *packet.Packet, f *Flow, dir app.Direction, v *Verdict) {
	if f.Action == FlowPassed || f.Action == FlowBypassed {
		return
	}
	if len(p.Payload) > 0 && f.app.done == app.NotDone {
		w.guard(f, func() {
			w.feed(f, dir, p.Payload, 0)
			if f.app.session.Reversed() && !f.reverse {
				w.swap(f)
				f.app.session = nil
				dir = dir.Other()
				w.feed(f, dir, p.Payload, 0)
			}
		})
	}
	if !w.gaveUp(f, v) {
		w.inspect(p, f, dir, v, detect.Input{})
	}
	w.free(f)
}
