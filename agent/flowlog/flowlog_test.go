package flowlog

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/policy"
)

var update = flag.Bool("update", false, "write the golden file anew")

// names are those of two revisions, as the router knows them.
type names struct{}

func (names) PortName(index uint32) string { return []string{"self", "wan", "lan0"}[index] }

func (names) Country(a netip.Addr) string {
	return map[string]string{"203.0.113.7": "NL", "10.0.1.9": "wrong"}[a.String()]
}

func (names) Legend(revision int64) policy.Legend {
	switch revision {
	case 7:
		return policy.Legend{Revision: 7, Zones: []string{"", "SELF", "WAN", "LAN"}, Rules: map[int64]string{3: "web"}}
	case 8:
		return policy.Legend{Revision: 8, Zones: []string{"", "SELF", "LAN", "OUTSIDE"}, Rules: map[int64]string{3: "web, renamed"}}
	}
	return policy.Legend{Revision: revision}
}

func tuple(source, destination string, protocol uint8) flow.Tuple {
	return flow.Tuple{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination), Protocol: protocol}
}

var at = time.Date(2026, 12, 1, 10, 0, 0, 123456789, time.UTC)

// cases are one event of each kind, and what is particular.
func cases() []struct {
	Name  string
	Event flow.Event
} {
	masqueraded := tuple("192.0.2.1:1024", "203.0.113.7:80", policy.ProtocolTCP)
	base := flow.Event{
		FlowID: 1<<63 + 64, Kind: flow.Open, Time: at, Action: policy.Accept, Tuple: tuple("10.0.1.9:40000", "203.0.113.7:80", policy.ProtocolTCP),
		Translated: &masqueraded, SourceMAC: []byte{2, 0, 0, 0, 0, 9}, PortIn: 2, PortOut: 1, ZoneIn: 3, ZoneOut: 2,
		Decider: policy.NewDecider(policy.DeciderRule, 3), Revision: 7, Count: 1,
		Delta: flow.Counts{PacketsSent: 1, BytesSent: 60}, Total: flow.Counts{PacketsSent: 1, BytesSent: 60},
	}
	change := func(edit func(*flow.Event)) flow.Event { e := base; edit(&e); return e }
	return []struct {
		Name  string
		Event flow.Event
	}{
		{"open, masqueraded", base},
		{"update", change(func(e *flow.Event) {
			e.Kind, e.Duration = flow.Update, 10*time.Second
			e.Delta, e.Total = flow.Counts{PacketsSent: 1, PacketsReceived: 2, BytesSent: 3, BytesReceived: 4}, flow.Counts{PacketsSent: 5, PacketsReceived: 6, BytesSent: 7, BytesReceived: 8}
		})},
		{"close of a flow that was cut, under a later revision", change(func(e *flow.Event) {
			e.Kind, e.Action, e.Revision, e.ZoneIn, e.ZoneOut, e.Duration = flow.Close, policy.Drop, 8, 2, 3, time.Minute
		})},
		{"refused by default, repeated", change(func(e *flow.Event) {
			e.Kind, e.Action, e.Translated, e.Decider, e.Count = flow.Refused, policy.Drop, nil, policy.NewDecider(policy.DeciderDefault, 0), 17
			e.PortIn, e.PortOut, e.ZoneIn, e.ZoneOut = 1, 0, 2, 1
		})},
		{"rejected by a policy", change(func(e *flow.Event) {
			e.Kind, e.Action, e.Translated, e.Decider = flow.Refused, policy.Reject, nil, policy.NewDecider(policy.DeciderPolicy, 0)
		})},
		{"refused, a reason that programs alone know", change(func(e *flow.Event) {
			e.Kind, e.Action, e.Translated, e.Decider = flow.Refused, policy.Drop, nil, policy.NewDecider(policy.DeciderReason, 3)
		})},
		{"wrong zone", change(func(e *flow.Event) {
			e.Kind, e.Action, e.Translated, e.Decider = flow.Refused, policy.Drop, nil, policy.NewDecider(policy.DeciderReason, 4)
		})},
		{"ping, masqueraded", change(func(e *flow.Event) {
			e.Tuple = tuple("10.0.1.9:77", "203.0.113.7:2048", policy.ProtocolICMP)
			to := tuple("192.0.2.1:78", "203.0.113.7:2048", policy.ProtocolICMP)
			e.Translated = &to
		})},
		{"ICMPv6, the router's own", change(func(e *flow.Event) {
			e.Tuple, e.Translated, e.SourceMAC = tuple("[2001:db8::1]:0", "[ff02::16]:36608", policy.ProtocolICMPv6), nil, nil
			e.PortIn, e.ZoneIn, e.Decider = 0, 1, policy.NewDecider(policy.DeciderSystem, uint32(policy.SystemMLD))
		})},
		{"before the clock was set, under a forgotten revision", change(func(e *flow.Event) {
			e.Time, e.Revision = time.Unix(60, 0), 2
		})},
	}
}

func TestRows(t *testing.T) {
	var rows []json.RawMessage
	for _, c := range cases() {
		b, err := protojson.Marshal(Row(c.Event, names{}))
		if err != nil {
			t.Fatal(err)
		}
		name, _ := json.Marshal(c.Name)
		rows = append(rows, json.RawMessage(`{"case":`+string(name)+`,"row":`+string(b)+`}`))
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, raw, "", "  "); err != nil { // protojson varies its spaces
		t.Fatal(err)
	}
	got.WriteByte('\n')
	golden := filepath.Join("testdata", "rows.json")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("rows differ from %s; if they should, run with -update (-want +got):\n%s", golden, d)
	}
}

func TestEveryKindAndActionHasItsName(t *testing.T) {
	for kind := flow.Open; kind <= flow.Refused; kind++ {
		if Row(flow.Event{Kind: kind}, names{}).Kind == ngfwv1.EventKind_EVENT_KIND_UNSPECIFIED {
			t.Errorf("kind %d", kind)
		}
	}
	for _, action := range []policy.Action{policy.Accept, policy.Drop, policy.Reject} {
		if Row(flow.Event{Action: action}, names{}).Action == ngfwv1.Verdict_VERDICT_UNSPECIFIED {
			t.Errorf("action %s", action)
		}
	}
	if n := len(Rows(make([]flow.Event, 3), names{})); n != 3 {
		t.Errorf("%d rows of 3 events", n)
	}
}
