package ids

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

// anomalies tells what was odd about a packet: to the decoder, and to the stream.
func (w *Worker) anomalies(p *packet.Packet, f *Flow) {
	log := w.engine.deps.Log
	if log == nil {
		return
	}
	for _, of := range [...]struct {
		kind   string
		events []packet.Event
	}{{"decode", p.Events.All()}, {"stream", w.events.All()}} {
		for _, e := range of.events {
			log.Anomaly(&Anomaly{Packet: p, Flow: f, Kind: of.kind, Event: e.String()})
		}
	}
}

// appAnomalies tells what was odd about a transaction, or, of none, about the flow's
// application as such.
func (w *Worker) appAnomalies(f *Flow, t app.Transaction, events []string) {
	for _, e := range events {
		a := &Anomaly{Flow: f, Kind: "applayer", Event: e, Transaction: t}
		if f.Detect.ProtocolKnown {
			a.Protocol = f.Detect.Protocol
		}
		w.engine.deps.Log.Anomaly(a)
	}
}
