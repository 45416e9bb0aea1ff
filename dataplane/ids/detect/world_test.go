package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// fakeTx is a transaction made by hand.
type fakeTx struct {
	id       uint64
	complete [2]bool
	buffers  [2]map[string][]app.Buffer
	numbers  map[string][]uint64
	events   []string
	files    [2][]*app.File
	slot     any
}

func (t *fakeTx) ID() uint64                      { return t.id }
func (t *fakeTx) Complete(dir app.Direction) bool { return t.complete[dir] }
func (t *fakeTx) Buffers(k *rule.BufferKind, dir app.Direction, to []app.Buffer) []app.Buffer {
	return append(to, t.buffers[dir][k.Name]...)
}
func (t *fakeTx) Settled(k *rule.BufferKind, dir app.Direction) bool {
	if t.complete[dir] {
		return true
	}
	b := t.buffers[dir][k.Name]
	return !k.Many && len(b) > 0 && b[0].Whole
}
func (t *fakeTx) Numbers(k string, _ app.Direction, to []uint64) []uint64 {
	return append(to, t.numbers[k]...)
}
func (t *fakeTx) Events() []string                    { return t.events }
func (t *fakeTx) Files(dir app.Direction) []*app.File { return t.files[dir] }
func (t *fakeTx) Record() (string, any)               { return "", nil }
func (t *fakeTx) Slot() *any                          { return &t.slot }

// set gives a whole buffer.
func (t *fakeTx) set(dir app.Direction, kind, data string) *fakeTx {
	if t.buffers[dir] == nil {
		t.buffers[dir] = map[string][]app.Buffer{}
	}
	t.buffers[dir][kind] = append(t.buffers[dir][kind], app.Buffer{Data: []byte(data), Whole: true})
	return t
}

var (
	client = netip.MustParseAddr("192.168.1.5")
	server = netip.MustParseAddr("1.2.3.4")
)

func tcp(payload string) *packet.Packet {
	return &packet.Packet{
		Time: 1e18, Version: 4, Src: client, Dst: server, Protocol: 6, SrcPort: 40000, DstPort: 80,
		Network: []byte{0x45, 0x10, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 168, 1, 5, 1, 2, 3, 4}, Transport: make([]byte, 20),
		TCP: packet.TCP{Seq: 10, Ack: 20, Flags: packet.ACK | packet.PSH, Window: 1000, WScale: -1}, Payload: []byte(payload), Length: 54 + len(payload),
	}
}

func udp(payload string) *packet.Packet {
	p := tcp(payload)
	p.Protocol, p.DstPort, p.Transport = 17, 53, make([]byte, 8)
	return p
}

func proto(tb testing.TB, name string) rule.Protocol {
	p, ok := rule.ParseProtocol(name)
	if !ok {
		tb.Fatal("no protocol", name)
	}
	return p
}

func flow(tb testing.TB, protocol string) *Flow {
	f := &Flow{Established: true}
	if protocol != "" {
		p := proto(tb, protocol)
		f.Protocol, f.ProtocolKnown, f.ProtocolOf = p, true, [2]rule.Protocol{p, p}
	}
	return f
}

func testConfig() Config {
	c := DefaultConfig()
	c.Seed = 12345
	c.Event = func(_, name string) (packet.Event, bool) {
		return map[string]packet.Event{"ipv4.trunc_pkt": 1, "3whs_ack_in_wrong_dir": 2}[name], true
	}
	c.Open = func(_ *rule.Rule, name string) ([]byte, error) {
		text, ok := testFiles[name]
		if !ok {
			return nil, fmt.Errorf("no file %s", name)
		}
		return []byte(text), nil
	}
	return c
}

var testFiles = map[string]string{}

// parse reads rules; those without a sid get one by their line, and a header if they have none.
func parse(tb testing.TB, rules ...string) []*rule.Rule {
	tb.Helper()
	p := rule.NewParser(rule.DefaultConfig())
	var all []*rule.Rule
	for i, text := range rules {
		if text[0] == '(' {
			text = "alert tcp any any -> any any " + text
		}
		if !strings.Contains(text, "sid:") {
			text = text[:len(text)-1] + fmt.Sprintf(" sid:%d;)", i+1)
		}
		r, err := p.Parse(text)
		if err != nil {
			tb.Fatalf("%s: %v", text, err)
		}
		all = append(all, r)
	}
	return all
}

func compile(tb testing.TB, cfg Config, rules ...string) *Set {
	tb.Helper()
	s, errs := Compile(parse(tb, rules...), cfg)
	for _, err := range errs {
		tb.Fatal(err)
	}
	return s
}

func worker(tb testing.TB, rules ...string) *Worker {
	tb.Helper()
	return compile(tb, testConfig(), rules...).NewWorker(NewState(DefaultStateConfig()))
}

// sids are the alerts of an input, sorted.
func (w *Worker) sids(in *Input) string {
	var s []string
	for _, m := range w.Inspect(in, nil) {
		if m.Tell {
			s = append(s, fmt.Sprint(m.Rule.SID))
		}
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}
