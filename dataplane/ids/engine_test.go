package ids_test

import (
	"slices"
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/traffic"
)

// told is what an engine has said.
type told struct {
	alerts []uint32
	drops  []string
	flows  []string
	txs    int
	odd    []string
	tagged []uint64
}

func (l *told) Alert(a *ids.Alert)                                        { l.alerts = append(l.alerts, a.Match.Rule.SID) }
func (l *told) Drop(d *ids.Drop)                                          { l.drops = append(l.drops, d.Reason) }
func (l *told) Transaction(*ids.Flow, app.Transaction)                    { l.txs++ }
func (l *told) File(*ids.Flow, app.Transaction, app.Direction, *app.File) {}
func (l *told) Flow(f *ids.Flow, reason string)                           { l.flows = append(l.flows, reason) }
func (l *told) Tagged(p *packet.Packet, _ *ids.Flow, _ app.Direction) {
	l.tagged = append(l.tagged, p.Number)
}
func (l *told) Anomaly(a *ids.Anomaly) { l.odd = append(l.odd, a.Kind+" "+a.Event) }

func engine(t testing.TB, cfg ids.Config, rules string) (*ids.Engine, *told) {
	t.Helper()
	loaded := rule.Load([]rule.File{{Name: "test", Text: rules}}, rule.DefaultConfig())
	c := detect.DefaultConfig()
	c.Event = packet.EventByName
	set, refused := detect.Compile(loaded.Rules, c)
	if len(refused)+len(loaded.Refused) > 0 {
		t.Fatal(refused, loaded.Refused)
	}
	log := &told{}
	e := ids.New(cfg, ids.Deps{Log: log})
	e.Use(set)
	return e, log
}

func run(w *ids.Worker, frames []traffic.Frame) (dropped int) {
	w.Decoder().Verify(false)
	for _, f := range frames {
		if w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At).Drop {
			dropped++
		}
	}
	return dropped
}

func page(t testing.TB, request, response string) *traffic.Traffic {
	t.Helper()
	x := traffic.New()
	c := x.Connect(8080) // no port of HTTP's
	c.Say(0, []byte(request))
	c.Say(1, []byte(response))
	c.End()
	return x
}

const (
	getEvil = "GET /evil?x=1 HTTP/1.1\r\nHost: example.com\r\n\r\n"
	ok      = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

func TestAlerts(t *testing.T) {
	e, log := engine(t, ids.DefaultConfig(), `alert http any any -> any any (http.uri; content:"/evil"; sid:1;)
alert tcp any any -> any any (flow:established,to_client; content:"hello"; sid:2;)
alert http any any -> any any (http.stat_code; content:"404"; sid:3;)
alert tcp any any -> any any (flags:S; sid:4;)`)
	w := e.Worker()
	if n := run(w, page(t, getEvil, ok).Frames); n != 0 {
		t.Errorf("%d packets are dropped though nobody waits", n)
	}
	w.Finish()
	slices.Sort(log.alerts)
	if !slices.Equal(log.alerts, []uint32{1, 2, 4}) {
		t.Error(log.alerts)
	}
	if log.txs != 1 || !slices.Equal(log.flows, []string{"shutdown"}) || w.Stats()["flow.active"] != 0 {
		t.Error(log.txs, log.flows, w.Stats())
	}
}

func TestInline(t *testing.T) {
	cfg := ids.DefaultConfig()
	cfg.Inline, cfg.Stream.Inline = true, true
	e, log := engine(t, cfg, `drop http any any -> any any (http.uri; content:"/evil"; sid:1;)`)
	w := e.Worker()
	w.Decoder().Verify(false)
	x := page(t, getEvil, ok)
	first := -1
	for i, f := range x.Frames {
		v := w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
		if v.Drop && first < 0 {
			first = i
		}
		if first >= 0 && (!v.Drop || v.Leave != ids.LeaveDrop) {
			t.Errorf("packet %d passes after the drop", i)
		}
	}
	// The request itself is held back, not what follows it.
	if first != 3 || !slices.Equal(log.alerts, []uint32{1}) || log.drops[0] != "rules" || log.drops[1] != "flow drop" {
		t.Error(first, log.alerts, log.drops)
	}
}

func TestPassLeaves(t *testing.T) {
	e, _ := engine(t, ids.DefaultConfig(), `pass http any any -> any any (http.uri; content:"/evil"; sid:1;)`)
	w := e.Worker()
	w.Decoder().Verify(false)
	last := ids.Stay
	for _, f := range page(t, getEvil, ok).Frames {
		last = w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At).Leave
	}
	if last != ids.LeavePass {
		t.Error("the flow stays")
	}
}

func TestFlowsAreBounded(t *testing.T) {
	cfg := ids.DefaultConfig()
	cfg.Flows.Max = 100
	e, _ := engine(t, cfg, "")
	w := e.Worker()
	x := traffic.New()
	for range 500 {
		x.Connect(80)
	}
	run(w, x.Frames)
	if n := w.Stats()["flow.active"]; n > 100 || w.Counters.Evicted == 0 {
		t.Errorf("%d flows, %d evicted", n, w.Counters.Evicted)
	}
	// Time passes: what was silent goes.
	w.Packet(packet.LinkRaw, x.Frames[0].Data, len(x.Frames[0].Data), x.Now()+3600e9)
	for i := range 10 {
		w.Packet(packet.LinkRaw, x.Frames[0].Data, len(x.Frames[0].Data), x.Now()+int64(3601+i)*1e9)
	}
	if n := w.Stats()["flow.active"]; n > 1 {
		t.Errorf("%d flows after an hour", n)
	}
}

// The same capture says the same each time.
func TestDeterministic(t *testing.T) {
	x := mixed(t, 1<<20)
	var before []uint32
	for range 3 {
		e, log := engine(t, ids.DefaultConfig(), `alert http any any -> any any (http.uri; content:"a"; sid:1;)
alert tls any any -> any any (tls.sni; content:"example"; sid:2;)
alert dns any any -> any any (dns.query; content:"e"; sid:3;)
alert tcp any any -> any any (content:"function"; sid:4;)`)
		w := e.Worker()
		run(w, x.Frames)
		w.Finish()
		if len(log.alerts) == 0 || before != nil && !slices.Equal(before, log.alerts) {
			t.Fatalf("%d alerts, %d before", len(log.alerts), len(before))
		}
		before = log.alerts
	}
}

// FuzzWorker leads any frames through the whole way.
func FuzzWorker(f *testing.F) {
	for _, p := range page(f, getEvil, ok).Frames {
		f.Add(p.Data, p.Data)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		cfg := ids.DefaultConfig()
		cfg.Stream.Midstream = true
		e, _ := engine(t, cfg, `alert http any any -> any any (http.uri; content:"/evil"; sid:1;)`)
		w := e.Worker()
		w.Decoder().Verify(false)
		for i, data := range [][]byte{a, b, a} {
			w.Packet(packet.LinkRaw, data, len(data), int64(i))
		}
		w.Finish()
		if w.Counters.Panics > 0 {
			t.Error("a panic was caught")
		}
	})
}
