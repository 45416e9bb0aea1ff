package firewall

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// What is written of legends is read again, however they follow each other.
func TestStoredLegends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := func(what string) map[int64]string {
			return rapid.MapOfN(rapid.Int64Range(1, 6), rapid.SampledFrom([]string{"web", "mail", ""}), 0, 5).Draw(t, what)
		}
		var legends []policy.Legend
		for i := range rapid.IntRange(0, 6).Draw(t, "legends") {
			l := policy.Legend{Revision: int64(i + 1), Zones: []string{"", "SELF", "LAN"}, Rules: names("rules"), NAT: names("nat")}
			if i > 0 && rapid.Bool().Draw(t, "same") { // as a compiler shares them
				l.Rules = legends[i-1].Rules
			}
			legends = append(legends, l)
		}
		text, err := json.Marshal(stored(legends))
		if err != nil {
			t.Fatal(err)
		}
		var list []storedLegend
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(legends, unstored(list), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s (-want +got):\n%s", text, d)
		}
	})
}

// A file of the version before is read as it is.
func TestLegendsOfFormat1(t *testing.T) {
	dir := t.TempDir()
	const text = `{"format":1,"version":2,"document":{},"legends":[{"revision":1,"zones":["","SELF"],"rules":{"4":"ssh"},"nat":{"1":"web"}},{"revision":2,"zones":["","SELF"],"rules":{"5":"dns"}}]}`
	if err := os.WriteFile(statePath(dir), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := readState(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []policy.Legend{
		{Revision: 1, Zones: []string{"", "SELF"}, Rules: map[int64]string{4: "ssh"}, NAT: map[int64]string{1: "web"}},
		{Revision: 2, Zones: []string{"", "SELF"}, Rules: map[int64]string{5: "dns"}},
	}
	if d := cmp.Diff(want, s.Legends); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if kept, err := os.ReadFile(statePath(dir) + ".1"); err != nil || string(kept) != text {
		t.Errorf("the file of format 1 is not kept: %s, %v", kept, err)
	}
}

// The state of a large policy does not grow with the revisions that are
// remembered.
func TestStateOfManyRevisions(t *testing.T) {
	var c policy.Compiler
	var s state
	p := policytest.RuleSet(1, policytest.AccessList, false, 500)
	size := func() int64 {
		s.Document = []byte("{}")
		dir := t.TempDir()
		if err := writeState(dir, s); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(statePath(dir))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	var first int64
	for i := range keptLegends {
		p.Revision++
		p.Rules[i].Action = policy.Reject
		if i%2 == 1 {
			p.Rules[i].Name = fmt.Sprint("renamed ", i)
		}
		im, err := c.Compile(p, policy.Env{})
		if err != nil {
			t.Fatal(err)
		}
		s.remember(im.Legend)
		if i == 0 {
			first = size()
		}
	}
	if last := size(); last > 2*first {
		t.Errorf("%d bytes with one revision, %d with %d", first, last, keptLegends)
	}
	oldest := s.Legends[0]
	if got := oldest.Rules[p.Rules[1].ID]; got == "" || got == "renamed 1" || !maps.Equal(oldest.Rules, unstored(stored(s.Legends))[0].Rules) {
		t.Errorf("a past revision has later names: %q", got)
	}
}

// BenchmarkApply pushes a document of 10,000 rules of which one has changed, as
// the cloud does; what the kernel does comes on top.
func BenchmarkApply(b *testing.B) {
	w := newWorld(b)
	s := w.section()
	p := policytest.RuleSet(1, policytest.AccessList, false, 10_000)
	version := int64(0)
	push := func() []byte {
		r := &p.Rules[int(version*7919)%len(p.Rules)]
		if r.Action = policy.Drop; version%2 == 0 {
			r.Action = policy.Accept
		}
		version++
		document, err := json.Marshal(p)
		if err != nil {
			b.Fatal(err)
		}
		return document
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		document := push()
		b.StartTimer()
		trial, err := s.Try(b.Context(), version, document)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer() // it is enforced
		if err := trial.Keep(); err != nil {
			b.Fatal(err)
		}
		w.images = nil
		b.StartTimer()
	}
}
