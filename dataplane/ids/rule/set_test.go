package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoad(t *testing.T) {
	one := strings.Join([]string{
		`# A comment, and a rule that is off:`,
		`#alert tcp any any -> any any (msg:"off"; sid:9;)`,
		`# alert everyone (that this is no rule)`,
		``,
		`alert tcp any any -> any any (msg:"first"; sid:1; rev:1;)`,
		`  alert tcp any any -> any any \`,
		`      (msg:"two lines"; \`,
		`  sid:2; rev:3;)`,
		`alert tcp any any -> any any (msg:"bad"; \`,
		`   contant:"x"; sid:3;)`,
		`alert tcp any any -> any any (msg:"later"; requires: version >= 99; whatever; sid:4;)`,
		`alert tcp any any -> any any (msg:"older"; sid:2; rev:2;)`,
	}, "\r\n")
	two := `alert tcp any any -> any any (msg:"newer"; sid:1; rev:2;)` + "\n" +
		`alert tcp any any -> any any (msg:"the same"; sid:2; rev:3;)` + "\n" +
		`alert tcp any any -> any any (msg:"other gid"; gid:5; sid:2; rev:3;)`
	s := Load([]File{{"one", one}, {"two", two}}, DefaultConfig())

	names := func(rules []*Rule) (out []string) {
		for _, r := range rules {
			out = append(out, fmt.Sprintf("%s:%d %s %d:%d:%d", s.Files[r.File], r.Line, r.Message, r.GID, r.SID, r.Revision))
		}
		return out
	}
	var refused []string
	for _, e := range s.Refused {
		refused = append(refused, e.Error())
	}
	got := [][]string{names(s.Rules), names(s.Skipped), names(s.Disabled), names(s.Superseded), refused}
	want := [][]string{
		{"one:6 two lines 1:2:3", "two:1 newer 1:1:2", "two:3 other gid 5:2:3"},
		{"one:11  1:4:0"},
		{"one:2 off 1:9:0"},
		{"one:12 older 1:2:2", "one:5 first 1:1:1"},
		{
			"one:10:4: sid 3: unknown keyword contant; the nearest known one is content",
			"two:2:1: sid 2: gid 1, sid 2 and revision 3 are already those of the rule at one:6",
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseClassification(t *testing.T) {
	classes, problems := ParseClassification(File{"c", "# x\n\nconfig classification: a-b,What, it is,2\n config  classification:c,C,1\nconfig classification: a-b,again,1\nconfig classification: d,D,0\nnothing\n"})
	want := map[string]Class{"a-b": {"a-b", "What, it is", 2}, "c": {"c", "C", 1}}
	if d := cmp.Diff(want, classes); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	wantProblems(t, problems, "c:5:24: the class a-b is given twice", "c:6:24: \"0\" is no priority", "c:7:1: a line begins with config classification:")
	if len(DefaultClassification()) != len(defaultClasses) {
		t.Error("a class is there twice")
	}
}

func TestParseReferences(t *testing.T) {
	systems, problems := ParseReferences(File{"r", "config reference: CVE http://x/?name=\nconfig reference: url\nconfig reference: cve y"})
	if d := cmp.Diff(map[string]string{"cve": "http://x/?name="}, systems); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	wantProblems(t, problems, "r:2:19: a reference is written", "r:3:19: the system cve is given twice")
}

func TestParseThresholds(t *testing.T) {
	text := `# limits
threshold gen_id 1, sig_id 5, type limit, track by_src, count 1, seconds 60
event_filter gen_id 0, sig_id 0, type both, track by_rule, count 2, \
   seconds 30
suppress gen_id 1, sig_id 7
suppress gen_id 1, sig_id 8, track by_either, ip [10.0.0.0/8,!10.0.0.1]
suppress gen_id 1, sig_id 8, track by_dst, ip $HOME_NET
suppress gen_id 1, sig_id 8, track by_src, ip 1.2.3.4, 5.6.7.8
rate_filter gen_id 135, sig_id 1, track by_src, count 100, seconds 1, new_action drop, timeout 10
suppress gen_id 1, sig_id x
suppress gen_id 1, sig_id 8, track by_rule, ip 1.2.3.4
suppress gen_id 1, sig_id 8, track by_src, ip $NOSUCH
threshold gen_id 1, sig_id 5, type limit, track by_src, count 1
limit gen_id 1, sig_id 5
suppress gen_id 0, sig_id 5
`
	entries, problems := ParseThresholds(File{"t", text}, DefaultVariables())
	addresses := func(s string) *Addresses {
		a, err := ParseAddresses(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	want := []ThresholdEntry{
		{GID: 1, SID: 5, Limit: &Threshold{Limit, BySource, 1, 60, 0}},
		{Limit: &Threshold{LimitAfterMany, ByRule, 2, 30, 0}},
		{GID: 1, SID: 7, Suppress: &Suppression{}},
		{GID: 1, SID: 8, Suppress: &Suppression{ByEither, addresses("[10.0.0.0/8,!10.0.0.1]")}},
		{GID: 1, SID: 8, Suppress: &Suppression{ByDestination, addresses("$HOME_NET")}},
		{GID: 1, SID: 8, Suppress: &Suppression{BySource, addresses("[1.2.3.4,5.6.7.8]")}},
		{GID: 135, SID: 1, Rate: &RateFilter{BySource, 100, 1, ActionDrop, 10}},
	}
	if d := cmp.Diff(want, entries, sameRule); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	wantProblems(t, problems, "t:10:10: \"sig_id x\" is not sig_id and a number", "t:11:10: \"track by_rule\" is not", "t:12:10: $NOSUCH is not defined",
		"t:13:11: threshold needs seconds", "t:14:7: \"limit\" is none of", "t:15:10: gen_id 0")
}

func wantProblems(t *testing.T, got []*Error, want ...string) {
	t.Helper()
	for i, e := range got {
		if i >= len(want) || !strings.HasPrefix(e.Error(), want[i]) {
			t.Errorf("problem %d: %v", i, e)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d problems, want %d", len(got), len(want))
	}
}
