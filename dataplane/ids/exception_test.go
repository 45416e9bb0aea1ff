package ids_test

import (
	"slices"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/traffic"
)

func inline() ids.Config {
	cfg := ids.DefaultConfig()
	cfg.Inline, cfg.Stream.Inline = true, true
	return cfg
}

const seesEvil = `alert http any any -> any any (http.uri; content:"/evil"; sid:1;)
alert tcp any any -> any any (content:"/evil"; sid:2;)`

// A protocol that is switched off is not found, one that is only found is not parsed, and
// rules about one that is off are refused by name.
func TestProtocolsChosen(t *testing.T) {
	http := tx.Proto("http1")
	all := app.OverTCP | app.OverUDP
	for _, c := range []struct {
		choice app.Choice
		want   []uint32
		found  string
	}{
		{app.Choice{}, []uint32{1, 2}, "http1"},
		{app.Choice{Off: map[rule.Protocol]app.Transport{http: all}}, []uint32{2}, ""},
		{app.Choice{Off: map[rule.Protocol]app.Transport{http: app.OverUDP}}, []uint32{1, 2}, "http1"},
		{app.Choice{Unparsed: map[rule.Protocol]app.Transport{http: all}}, []uint32{2}, "http1"},
	} {
		cfg := ids.DefaultConfig()
		cfg.Protocols = c.choice
		e, log := engine(t, cfg, seesEvil)
		w := e.Worker()
		w.Decoder().Verify(false)
		found := ""
		for _, f := range page(t, getEvil, ok).Frames {
			if v := w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At); v.Flow != nil && v.Flow.Detect.ProtocolKnown {
				found = v.Flow.Detect.Protocol.String()
			}
		}
		w.Finish()
		if slices.Sort(log.alerts); !slices.Equal(log.alerts, c.want) || found != c.found {
			t.Errorf("%+v: %v, %q", c.choice, log.alerts, found)
		}
	}
	loaded := rule.Load([]rule.File{{Name: "test", Text: "alert tls any any -> any any (sid:1;)\nalert http any any -> any any (sid:2;)\nalert http2 any any -> any any (sid:3;)"}}, rule.DefaultConfig())
	cfg := detect.DefaultConfig()
	cfg.Protocols.Off = map[rule.Protocol]app.Transport{tx.Proto("tls"): all, tx.Proto("http2"): all}
	if set, refused := detect.Compile(loaded.Rules, cfg); set.Len() != 1 || len(refused) != 2 || !strings.Contains(refused[0].Error(), "tls is switched off") {
		t.Error(set.Len(), refused)
	}
}

// With the table full of connections, a new one is treated as the policy says; else an old
// one makes room.
func TestFlowMemory(t *testing.T) {
	for _, c := range []struct {
		policy  ids.Policy
		dropped bool
		refused uint64
	}{{ids.Ignore, false, 0}, {ids.DropFlow, true, 1}, {ids.Reject, true, 1}, {ids.PassFlow, false, 1}} {
		cfg := inline()
		cfg.Flows.Max, cfg.Exceptions.FlowMemory = 1, c.policy
		e, log := engine(t, cfg, seesEvil)
		w := e.Worker()
		x := traffic.New()
		x.Connect(80)
		first := len(x.Frames)
		x.Connect(81)
		run(w, x.Frames[:first])
		syn := x.Frames[first]
		v := w.Packet(packet.LinkRaw, syn.Data, len(syn.Data), syn.At)
		if v.Drop != c.dropped || w.Counters.Refused != c.refused || (v.Reject != 0) != (c.policy == ids.Reject) {
			t.Errorf("%v: %+v, %+v", c.policy, v, w.Counters)
		}
		if c.dropped && !slices.Equal(log.drops, []string{"flow memcap"}) {
			t.Error(log.drops)
		}
	}
}

// What does not fit into memory is treated as the policy says.
func TestStreamMemory(t *testing.T) {
	for _, c := range []struct {
		policy ids.Policy
		leave  ids.Leave
	}{{ids.Ignore, ids.Stay}, {ids.DropFlow, ids.LeaveDrop}, {ids.PassFlow, ids.LeavePass}} {
		cfg := inline()
		cfg.Stream.Memory, cfg.Exceptions.StreamMemory = 1, c.policy
		e, _ := engine(t, cfg, seesEvil)
		w := e.Worker()
		w.Decoder().Verify(false)
		var last ids.Verdict
		for _, f := range page(t, getEvil, ok).Frames[:5] {
			last = w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
		}
		if last.Leave != c.leave || last.Drop != (c.leave == ids.LeaveDrop) {
			t.Errorf("%v: %+v", c.policy, last)
		}
	}
}

// panics is a log that breaks on the first transaction.
type panics struct{ told }

func (*panics) Transaction(*ids.Flow, app.Transaction) { panic("on purpose") }

// The packet that a panic comes of is held back like those that follow, where the policy
// drops the flow.
func TestPanicDrops(t *testing.T) {
	for _, policy := range []ids.Policy{ids.DropFlow, ids.PassFlow} {
		cfg := inline()
		cfg.Exceptions.AppError = policy
		w := ids.New(cfg, ids.Deps{Log: &panics{}}).Worker()
		w.Decoder().Verify(false)
		for _, f := range page(t, getEvil, ok).Frames {
			before := w.Counters.Panics
			v := w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At)
			if w.Counters.Panics > before && v.Drop != (policy == ids.DropFlow) {
				t.Errorf("%v: %+v", policy, v)
			}
		}
		if w.Counters.Panics != 1 {
			t.Errorf("%v: %d panics", policy, w.Counters.Panics)
		}
	}
}

// A fragment that costs another its place is treated as the policy says.
func TestFragmentMemory(t *testing.T) {
	fragment := []byte{0x45, 0, 0, 28, 0, 1, 0x20, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2, 0x10, 0, 0x10, 1, 0, 40, 0, 0}
	for policy, dropped := range map[ids.Policy]bool{ids.Ignore: false, ids.DropPacket: true, ids.PassPacket: false} {
		cfg := inline()
		cfg.Defrag.Trackers, cfg.Exceptions.Fragments = 0, policy
		w := ids.New(cfg, ids.Deps{}).Worker()
		w.Decoder().Verify(false)
		if v := w.Packet(packet.LinkRaw, fragment, len(fragment), 1e18); v.Drop != dropped || w.Fragments().Evicted != 1 {
			t.Errorf("%v: %+v %+v", policy, v, w.Fragments())
		}
	}
}

// What the only open transaction is an alert of a packet may be told with, if that is wanted.
func TestGuessTransaction(t *testing.T) {
	for _, guess := range []bool{false, true} {
		cfg := ids.DefaultConfig()
		cfg.GuessTransactions = guess
		told := 0
		e, _ := engine(t, cfg, `alert tcp any any -> any any (flow:established,to_client; content:"hello"; sid:2;)`)
		set := e.Set()
		e = ids.New(cfg, ids.Deps{Log: alerts(func(a *ids.Alert) {
			if told++; (a.Transaction != nil) != guess {
				t.Errorf("guess %v: %v", guess, a.Transaction)
			}
		})})
		e.Use(set)
		w := e.Worker()
		run(w, page(t, getEvil, ok).Frames)
		w.Finish()
		if told != 1 {
			t.Errorf("%d alerts", told)
		}
	}
}

// alerts is a log of alerts alone.
type alerts func(*ids.Alert)

func (f alerts) Alert(a *ids.Alert)                                      { f(a) }
func (alerts) Drop(*ids.Drop)                                            {}
func (alerts) Transaction(*ids.Flow, app.Transaction)                    {}
func (alerts) File(*ids.Flow, app.Transaction, app.Direction, *app.File) {}
func (alerts) Flow(*ids.Flow, string)                                    {}
func (alerts) Tagged(*packet.Packet, *ids.Flow, app.Direction)           {}
func (alerts) Anomaly(*ids.Anomaly)                                      {}
