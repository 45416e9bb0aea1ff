package ids_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/stream"
	"ngfw.sh/dataplane/ids/traffic"
)

// brittle is a log that breaks at what concerns one client.
type brittle struct {
	told
	client netip.AddrPort
	at     string
}

func (b *brittle) Transaction(f *ids.Flow, t app.Transaction) {
	if b.told.Transaction(f, t); b.at == "transaction" && f.Client == b.client {
		panic("on purpose: transaction")
	}
}

func (b *brittle) Flow(f *ids.Flow, reason string) {
	if b.told.Flow(f, reason); b.at == "flow" && f.Client == b.client {
		panic("on purpose: flow")
	}
}

// Wherever something panics over one flow, it costs that flow its inspection, and is counted; all
// others are inspected as before, and no packet is lost.
func TestPanicsCostTheirFlow(t *testing.T) {
	gen := traffic.New()
	var conns []*traffic.Conn
	for range 4 {
		conns = append(conns, gen.Connect(80))
	}
	for _, c := range conns {
		c.Say(0, []byte(getEvil))
		c.Say(1, []byte(ok))
		c.End()
	}
	victim := client(gen.Frames[3].Data) // of the second connection
	for _, x := range []struct {
		at    string
		cost  int // alerts
		drops bool
	}{{"", 0, false}, {"transaction", 0, false}, {"flow", 0, false}, {"stream", 2, false}, {"stream", 2, true}} {
		cfg := inline()
		if x.drops {
			cfg.Exceptions.AppError = ids.DropFlow
		}
		if x.at == "stream" {
			cfg.Inline, cfg.Stream.Inline = x.drops, false
			cfg.Stream.Policy = func(a netip.Addr) stream.Policy {
				if a == victim.Addr() {
					panic("on purpose: stream")
				}
				return stream.BSD
			}
		}
		e, _ := engine(t, cfg, seesEvil)
		log := &brittle{client: victim, at: x.at}
		set := e.Set()
		var said []string
		e = ids.New(cfg, ids.Deps{Log: log, Panicked: func(what string) { said = append(said, what) }})
		e.Use(set)
		w := e.Worker()
		dropped := run(w, gen.Frames)
		idle := gen.Frames[len(gen.Frames)-1]
		for range 3 { // a panic ends what a packet has to do besides
			w.Packet(packet.LinkRaw, idle.Data, len(idle.Data), idle.At+3600e9)
		}
		if x.at == "" {
			if len(said) > 0 || w.Counters.Panics > 0 {
				t.Fatalf("nothing is to panic: %q", said)
			}
			continue
		}
		if w.Counters.Panics == 0 || len(said) == 0 || !strings.HasPrefix(said[0], "on purpose: "+x.at) {
			t.Errorf("%s: %d panics, said %.60q", x.at, w.Counters.Panics, said)
		}
		if len(log.alerts) < 8-x.cost || (dropped > 0) != x.drops {
			t.Errorf("%s: %d alerts, %d packets dropped", x.at, len(log.alerts), dropped)
		}
		if n := w.Stats()["flow.active"]; n > 1 || !slices.Contains(log.flows, "timeout") {
			t.Errorf("%s: %d flows are left", x.at, n)
		}
	}
}

func client(frame []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(frame[12:16])), uint16(frame[20])<<8|uint16(frame[21]))
}
