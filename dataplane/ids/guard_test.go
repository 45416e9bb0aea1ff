package ids

import (
	"net/netip"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/packet"
)

// A panic costs its flow the inspection, is counted and told, and inline the flow is
// treated as the policy says.
func TestGuard(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Inline, cfg.Exceptions.AppError = true, DropFlow
	var said string
	e := New(cfg, Deps{Panicked: func(what string) { said = what }})
	w := e.Worker()
	p := &packet.Packet{Version: 4, Protocol: 17, Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), Transport: make([]byte, 8)}
	f, _, _ := w.flowOf(p)
	w.guard(f, func() { panic("on purpose") })
	if w.Counters.Panics != 1 || !strings.HasPrefix(said, "on purpose") || !f.broken || f.Action != FlowDropped {
		t.Errorf("%d %q %+v", w.Counters.Panics, said, f)
	}
	other := *p
	other.SrcPort = 7
	if g, _, _ := w.flowOf(&other); g == f || g.broken {
		t.Error("another flow suffers")
	}
}
