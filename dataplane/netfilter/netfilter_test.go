package netfilter

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/lab/labtest"
)

func apply(l *labtest.Lab, t *testing.T, r Ruleset) {
	t.Helper()
	l.In("rtr", func() {
		if err := Apply(r); err != nil {
			t.Fatal(err)
		}
	})
}

// table is what nft shows of ours, without counts.
func table(l *labtest.Lab) string {
	return l.Exec("rtr", "nft", "--stateless", "list", "table", "inet", TableName)
}

func lines(text, with string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, with) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

func TestTableSaysWhatItShould(t *testing.T) {
	l := labtest.New(t)
	apply(l, t, Ruleset{Masquerade: []string{"wan", "mgmt0"}, MSSClamp: []string{"wan"}, Bridges: []string{"lan", "dmz"}})
	text := table(l)
	for _, want := range []struct {
		with  string
		lines []string
	}{
		{"masquerade", []string{
			`oifname "mgmt0" meta nfproto ipv4 counter masquerade`,
			`oifname "wan" meta nfproto ipv4 counter masquerade`,
		}},
		{"maxseg", []string{`oifname "wan" tcp flags syn / syn,rst tcp option maxseg size set rt mtu`}},
		{"hook", []string{
			"type filter hook input priority filter; policy accept;",
			"type filter hook forward priority filter; policy accept;",
			"type filter hook output priority mangle; policy accept;",
			"type filter hook postrouting priority mangle; policy accept;",
			"type nat hook postrouting priority srcnat; policy accept;",
		}},
		{"0x00000000/1 ", []string{ // the upper bit, at input and forward
			`iifname != "lo" meta mark 0x00000000/1 counter drop comment "unjudged"`,
			`iifname != "lo" meta mark 0x00000000/1 counter drop comment "unjudged"`,
		}},
		{"0x0000ffff", []string{"meta l4proto != esp meta l4proto != ah meta l4proto != ipcomp meta mark set meta mark & 0x0000ffff"}},
		{"bridge", []string{
			`iifname "dmz" oifname "dmz" meta iifkind "bridge" meta mark 0x00000000/16 accept`,
			`iifname "lan" oifname "lan" meta iifkind "bridge" meta mark 0x00000000/16 accept`,
		}},
		{"4500", []string{"udp dport 4500 accept"}}, // at input, before it
		{"0x00200000", []string{`iifname != "lo" meta mark & 0x07e00000 != 0x00200000 counter drop comment "wrong_zone"`}},
	} {
		if d := cmp.Diff(want.lines, lines(text, want.with)); d != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", want.with, d, text)
		}
	}

	// Replaced as a whole.
	apply(l, t, Ruleset{Masquerade: []string{"lan1"}})
	text = table(l)
	if got := lines(text, "masquerade"); len(got) != 1 || !strings.Contains(got[0], `"lan1"`) || len(lines(text, "maxseg")) != 0 {
		t.Errorf("of the old table something is left:\n%s", text)
	}
	apply(l, t, Ruleset{})
	if text = table(l); len(lines(text, "masquerade")) != 0 || len(lines(text, "type nat")) != 1 {
		t.Errorf("nothing is to be translated:\n%s", text)
	}
}

func TestTablesOfOthersStay(t *testing.T) {
	l := labtest.New(t)
	for _, command := range []string{
		"add table inet ngfw2", "add chain inet ngfw2 forward { type filter hook forward priority 10 ; }", "add rule inet ngfw2 forward counter accept",
		"add table ip ngfw", "add chain ip ngfw mine { type nat hook postrouting priority 90 ; }", "add rule ip ngfw mine oifname eth9 masquerade",
		"add table ip6 filter",
	} {
		l.Exec("rtr", "nft", command)
	}
	before := l.Exec("rtr", "nft", "list", "ruleset")
	apply(l, t, Ruleset{Masquerade: []string{"wan"}})
	apply(l, t, Ruleset{})
	l.In("rtr", func() {
		for range 2 { // there or not
			if err := Remove(); err != nil {
				t.Error(err)
			}
		}
	})
	if d := cmp.Diff(before, l.Exec("rtr", "nft", "list", "ruleset")); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
}

// A table that is replaced is never absent and never half there: of a stream of
// unjudged packets none passes.
func TestReplacedInOneStep(t *testing.T) {
	l := labtest.New(t, labtest.Forward())
	apply(l, t, Ruleset{})
	var out string
	var wait sync.WaitGroup
	wait.Go(func() {
		// Fails, as it should: nothing answers.
		out, _ = l.TryExec("lan1", "ping", "-q", "-i", "0.002", "-c", "1000", "-W", "1", "203.0.113.1")
	})
	l.In("rtr", func() {
		for i := range 150 {
			r := Ruleset{}
			if i%2 == 0 {
				r.Masquerade = []string{"wan"}
			}
			if err := Apply(r); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wait.Wait()
	if !strings.Contains(out, "1000 packets transmitted, 0 received") {
		t.Errorf("through a closed table: %s", out)
	}
}

func TestBackstopClosesWhatNobodyJudged(t *testing.T) {
	l := labtest.New(t, labtest.Forward())
	ping := func(host, to string) error {
		_, err := l.TryExec(host, "ping", "-c", "1", "-W", "1", to)
		return err
	}
	for _, to := range []string{"10.77.1.1", "203.0.113.1"} {
		if err := ping("lan1", to); err != nil {
			t.Fatalf("a plain router does not forward: %v", err)
		}
	}
	apply(l, t, Ruleset{})
	for _, to := range []string{"10.77.1.1", "203.0.113.1", "2001:db8:77:1::1", "2001:db8:ff::1"} {
		if ping("lan1", to) == nil {
			t.Errorf("%s answered, and nobody judged it", to)
		}
	}
	if err := ping("rtr", "127.0.0.1"); err != nil {
		t.Errorf("loopback: %v", err)
	}
	var drops map[string]uint64
	l.In("rtr", func() {
		var err error
		if drops, err = Drops(); err != nil {
			t.Error(err)
		}
	})
	if drops["unjudged"] < 4 || drops["stale_state"]+drops["wrong_zone"]+drops["reject_limit"] > 0 {
		t.Errorf("drops: %v", drops)
	}
	l.In("rtr", func() {
		if err := Remove(); err != nil {
			t.Error(err)
		}
		none, err := Drops()
		if err != nil || len(none) != len(Reasons) {
			t.Errorf("%v, %v", none, err)
		}
		for reason, n := range none {
			if n > 0 {
				t.Errorf("a table that is not there dropped %d for %s", n, reason)
			}
		}
	})
	if err := ping("lan1", "203.0.113.1"); err != nil {
		t.Errorf("removed, and still closed: %v", err)
	}
}
