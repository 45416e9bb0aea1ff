package inspect

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/agent/flowlog"
	"ngfw.sh/agent/ruleset"
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/netfilter"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// sets are rule sets by source.
type sets map[string]string

func (s sets) Get(_ context.Context, source ids.Source, _ bool) (*ruleset.Set, error) {
	text, ok := s[source.Name]
	if !ok {
		return nil, errors.New("it is away")
	}
	return &ruleset.Set{Name: source.Name, Files: []rule.File{{Name: source.Name, Text: text}}}, nil
}

func (sets) Prune([]ids.Source) error { return nil }

type kernel struct{ told []dataplane.Inspection }

func (k *kernel) Inspect(i dataplane.Inspection) error { k.told = append(k.told, i); return nil }
func (k *kernel) Tell(netip.AddrPort, netip.AddrPort, uint8, dataplane.Word) (uint64, error) {
	return 0, nil
}

func section(t *testing.T, s sets) *Section {
	t.Helper()
	return New(Config{StateDir: t.TempDir(), First: 4100, Queues: 1}, Deps{
		Log: slog.New(slog.DiscardHandler), Kernel: &kernel{}, Sets: s, Queue: func(netfilter.Queues) error { return nil },
		Facts: flowlog.NewFacts(16), Alerts: func([]*ngfwv1.AlertEvent) error { return nil },
	})
}

const (
	trojan = `alert tcp any any -> any any (msg:"t"; content:"abc"; classtype:trojan-activity; sid:1;)`
	odd    = `drop tcp any any -> any any (msg:"o"; content:"def"; classtype:bad-unknown; sid:2;)`
	setter = `alert tcp any any -> any any (msg:"s"; content:"ghi"; flowbits:set,x; noalert; classtype:trojan-activity; sid:3;)`
	broken = `alert tcp any any -> any any (msg:"b"; contnet:"x"; sid:4;)`
)

func document(change func(*ids.Document)) ids.Document {
	d := ids.Default()
	d.Enabled = true
	d.Sources = []ids.Source{{Name: "a", File: "/a", Enabled: true}}
	change(&d)
	return d
}

func mode(d *ids.Document, id string, m ids.Mode) {
	i := slices.IndexFunc(d.Categories, func(c ids.Category) bool { return c.ID == id })
	d.Categories[i] = ids.Category{ID: id, Enabled: m != ids.Disabled, Mode: m}
}

func TestLoad(t *testing.T) {
	s := section(t, sets{"a": strings.Join([]string{trojan, odd, setter, broken}, "\n")})
	for name, tt := range map[string]struct {
		change func(*ids.Document)
		rules  map[string]int64
	}{
		"all":           {func(*ids.Document) {}, map[string]int64{"malware": 2, "suspicious": 1}},
		"a kind is off": {func(d *ids.Document) { mode(d, "malware", ids.Disabled) }, map[string]int64{"suspicious": 1}},
		"own rules": {func(d *ids.Document) {
			d.Rules = []ids.Rule{
				{ID: 1, Name: "x", Rule: strings.ReplaceAll(trojan, "sid:1", "sid:9"), Enabled: true, Category: "dos"},
				{ID: 2, Name: "y", Rule: strings.ReplaceAll(trojan, "sid:1", "sid:10"), Category: "dos"},
			}
		}, map[string]int64{"malware": 2, "suspicious": 1, "dos": 1}},
		"a source is away": {func(d *ids.Document) {
			d.Sources = append(d.Sources, ids.Source{Name: "b", File: "/b", Enabled: true})
		}, map[string]int64{"malware": 2, "suspicious": 1}},
	} {
		l, lacking, err := s.load(t.Context(), document(tt.change), true)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(tt.rules, l.Categories); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if len(l.Refused) != 1 || !strings.Contains(l.Refused[0], "contnet") {
			t.Errorf("%s: refused %q", name, l.Refused)
		}
		if (len(lacking) > 0) != (name == "a source is away") {
			t.Errorf("%s: lacking %v", name, lacking)
		}
	}
	if _, _, err := s.load(t.Context(), document(func(d *ids.Document) { d.Sources[0].Name = "b" }), true); err == nil {
		t.Error("a document of which no rule can be had was taken")
	}
}

func TestActions(t *testing.T) {
	parse := func(text string) *rule.Rule {
		r, err := ids.ParseRule(ids.Default(), text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		rule            string
		whole, category ids.Mode
		want            string
	}{
		{trojan, ids.Detect, ids.Detect, "alert"},
		{trojan, ids.Detect, ids.Prevent, "alert"},
		{trojan, ids.Prevent, ids.Detect, "alert"},
		{trojan, ids.Prevent, ids.Prevent, "drop"},
		{odd, ids.Detect, ids.Prevent, "alert"},
		{odd, ids.Prevent, ids.Detect, "drop"},
		{setter, ids.Prevent, ids.Prevent, "alert"}, // it only notes something
		{odd, ids.Prevent, ids.Disabled, ""},
	} {
		got := ""
		if r := under(parse(tt.rule), tt.whole, tt.category); r != nil {
			got = r.Action.String()
		}
		if got != tt.want {
			t.Errorf("%s in %s, category %s: %q, want %q", tt.rule, tt.whole, tt.category, got, tt.want)
		}
	}
}

func TestSeverity(t *testing.T) {
	classes := rule.DefaultClassification()
	for text, want := range map[string]ngfwv1.AlertSeverity{
		trojan: ngfwv1.AlertSeverity_ALERT_SEVERITY_HIGH,
		odd:    ngfwv1.AlertSeverity_ALERT_SEVERITY_MEDIUM,
		`alert tcp any any -> any any (msg:"p"; priority:4; sid:5;)`:                                       ngfwv1.AlertSeverity_ALERT_SEVERITY_LOW,
		`alert tcp any any -> any any (msg:"m"; priority:4; metadata:signature_severity Critical; sid:6;)`: ngfwv1.AlertSeverity_ALERT_SEVERITY_CRITICAL,
	} {
		r, err := ids.ParseRule(ids.Default(), text)
		if err != nil {
			t.Fatal(err)
		}
		if got := severity(r, classes[r.Class]); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestTellings(t *testing.T) {
	var told tellings
	if !told.once(1, toldApp) || told.once(1, toldApp) || !told.once(1, toldLeave) || told.once(1, toldLeave) || !told.once(2, toldApp) {
		t.Error("a flow's news are told once each")
	}
	for id := range uint64(3 * maxTellings) {
		told.once(id+10, toldApp)
	}
	if n := len(told.fresh) + len(told.stale); n > 2*maxTellings {
		t.Errorf("%d flows are remembered", n)
	}
}

func TestExcluded(t *testing.T) {
	w := &worker{excluded: prefixes([]string{"10.0.0.0/8", "2001:db8::1"})}
	v4 := func(src, dst string) []byte {
		b := make([]byte, 20)
		b[0] = 0x45
		copy(b[12:], netip.MustParseAddr(src).AsSlice())
		copy(b[16:], netip.MustParseAddr(dst).AsSlice())
		return b
	}
	v6 := make([]byte, 40)
	v6[0] = 0x60
	copy(v6[24:], netip.MustParseAddr("2001:db8::1").AsSlice())
	for i, tt := range []struct {
		packet []byte
		want   bool
	}{{v4("10.1.1.1", "192.0.2.1"), true}, {v4("192.0.2.1", "10.1.1.1"), true}, {v4("192.0.2.1", "192.0.2.2"), false}, {v6, true}, {nil, false}} {
		if got := w.isExcluded(tt.packet); got != tt.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
