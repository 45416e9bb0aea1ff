package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/policy"
)

const sampled = `{
	"zones":[{"id":1,"name":"WAN","interfaces":["wan0"],"masquerade":true},{"id":2,"name":"LAN","interfaces":["lan0"]},{"id":3,"name":"NEW","interfaces":[]}],
	"rules":[
		{"id":1,"name":"no tens","zone_from":"LAN","zone_to":"WAN","source":"10.0.0.0/8","action":"drop"},
		{"id":2,"name":"ssh","zone_from":"LAN","zone_to":"WAN","source":"10.1.0.0/16","protocol":"tcp","port":"22","action":"accept"},
		{"id":3,"name":"web","zone_from":"any","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}],
	"policies":[{"from":"LAN","to":"WAN","action":"accept"}]}`

func TestPolicyCheck(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.yaml")
	file := write(t, filepath.Join(dir, "p.json"), sampled)
	got := run(t, none, "", "policy", "check", file)
	want := `RULE     FINDING                                                                      PACKET
2 (ssh)  shadowed: decides nothing, as rule 1 (no tens) and those before it take all  lan0→wan0 10.1.0.1→198.51.100.20 tcp 22
3 (web)  conflict: rule 1 (no tens) decides otherwise, and comes first                lan0→wan0 10.0.0.1→198.51.100.20 tcp 80
`
	if d := cmp.Diff(outcome{0, want, ""}, got, cmp.AllowUnexported(outcome{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got = run(t, none, "", "policy", "check", "--strict", "-o", "json", file)
	var found []struct {
		Kind    string          `json:"kind"`
		RuleID  int64           `json:"rule_id"`
		OtherID int64           `json:"other_id"`
		Witness json.RawMessage `json:"witness"`
	}
	if err := json.Unmarshal([]byte(got.out), &found); err != nil || got.code != 1 || got.err != "" || len(found) != 2 || found[0].Kind != "shadowed" || found[0].RuleID != 2 || found[0].OtherID != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	// What is found can be asked about.
	packets := write(t, filepath.Join(dir, "q.json"), "["+string(found[0].Witness)+"]")
	var answers []struct {
		Reference struct {
			RuleID int64 `json:"rule_id"`
		} `json:"reference"`
	}
	if got := run(t, none, "", "policy", "eval", "--policy", file, "--packets", packets, "-o", "json"); json.Unmarshal([]byte(got.out), &answers) != nil || answers[0].Reference.RuleID != 1 {
		t.Errorf("%+v", got)
	}
	clean := write(t, filepath.Join(dir, "clean.json"), `{"zones":[{"id":1,"name":"WAN"}],"rules":[]}`)
	if got := run(t, none, "", "policy", "check", "--strict", clean); got != (outcome{0, "nothing found\n", ""}) {
		t.Errorf("%+v", got)
	}
	if got := run(t, none, "", "policy", "check", "-o", "json", clean); got != (outcome{0, "[]\n", ""}) {
		t.Errorf("%+v", got)
	}
}

func TestPolicyDiff(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.yaml")
	a := write(t, filepath.Join(dir, "a.json"), sampled)
	b := write(t, filepath.Join(dir, "b.json"), strings.Replace(strings.Replace(sampled, "10.0.0.0/8", "10.0.0.0/9", 1), `"zone_from":"any"`, `"zone_from":"NEW"`, 1))
	want := `CHANGE       ZONES    SOURCE        DESTINATION  SERVICE  PACKET
accept→drop  WAN→WAN  any           any          tcp 80   wan0→wan0 192.0.2.10→198.51.100.20 tcp 80
drop→accept  LAN→WAN  10.128.0.0/9  0.0.0.0/0    all      lan0→wan0 10.128.0.1→198.51.100.20 tcp 443
`
	if d := cmp.Diff(outcome{0, want, ""}, run(t, none, "", "policy", "diff", a, b), cmp.AllowUnexported(outcome{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := run(t, none, "", "policy", "diff", a, a); got != (outcome{0, "no packet has another action\n", ""}) {
		t.Errorf("%+v", got)
	}
	if got := run(t, none, "", "policy", "diff", "-o", "json", a, a); got != (outcome{0, "[]\n", ""}) {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"policy", "diff", a}, {"policy", "check"}, {"policy", "check", a, b}} {
		if got := run(t, none, "", args...); got.code != 2 || got.out != "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
	bad := write(t, filepath.Join(dir, "bad.json"), strings.Replace(sampled, "10.0.0.0/8", "10.0.0.0/33", 1))
	for _, args := range [][]string{{"policy", "diff", a, bad}, {"policy", "check", bad}} {
		if got := run(t, none, "", args...); got.code != 1 || !strings.Contains(got.err, "bad.json") || !strings.Contains(got.err, "rules[0].source") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestSimulateFlags(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.yaml")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "is required"},
		{[]string{"--in", "lan0", "--out", "wan0", "--src", "10.0.0.1", "--dst", "192.0.2.1"}, "--protocol is required"},
		{[]string{"--in", "lan0", "--out", "wan0", "--src", "10.0.0.256", "--dst", "192.0.2.1", "--protocol", "tcp"}, `--src "10.0.0.256" is no IP address`},
		{[]string{"--in", "lan0", "--out", "wan0", "--src", "10.0.0.1", "--dst", "192.0.2.1", "--protocol", "tcp", "--dport", "http"}, "--dport is a number"},
		{[]string{"--in", "lan0", "--out", "wan0", "--src", "10.0.0.1", "--dst", "192.0.2.1", "--protocol", "icmp", "--icmp-type", "256"}, "--icmp-type must be between 0 and 255"},
		{[]string{"--in", "self", "--out", "self", "--src", "10.0.0.1", "--dst", "192.0.2.1", "--protocol", "tcp"}, "--out what the router sends to itself"},
	} {
		if got := run(t, none, "", append([]string{"simulate"}, c.args...)...); got.code != 2 || !strings.Contains(got.err, c.want) || got.out != "" {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	socket := filepath.Join(dir, "no.sock")
	got := run(t, none, "", "simulate", "--socket", socket, "--in", "lan0", "--out", "wan0", "--src", "10.0.0.1", "--dst", "192.0.2.1", "--protocol", "tcp")
	if got.code != 1 || !strings.Contains(got.err, "not running") {
		t.Errorf("%+v", got)
	}
}

func TestSimulateFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	dir := t.TempDir()
	none := filepath.Join(dir, "none.yaml")
	file := write(t, filepath.Join(dir, "p.json"), sampled)
	packet := []string{"simulate", "--policy", file, "--in", "lan0", "--out", "wan0", "--src", "10.1.0.1", "--dst", "192.0.2.1", "--protocol", "tcp", "--dport", "22"}
	want := `drop (rule 1)
  headers   pass  well-formed
  zone_in   pass  lan0 is in zone LAN
  state     pass  the first packet of a flow
  zone_out  pass  wan0 is in zone WAN
  system    pass  no system rule is for it
  rules     drop  rule 1 (no tens)
`
	if d := cmp.Diff(outcome{0, want, ""}, run(t, none, "", packet...), cmp.AllowUnexported(outcome{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got := run(t, none, "", append(packet, "-o", "json", "--out", "tun9")...)
	var e policy.Explanation
	if err := json.Unmarshal([]byte(got.out), &e); err != nil || got.code != 0 || e.RuleID != nil || e.Reason != "no_zone" || e.Action != policy.Drop ||
		e.Stages[len(e.Stages)-1] != (policy.Stage{Stage: "zone_out", Result: "drop", Reason: "tun9 is in no zone"}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSimulateFileTellsOfNAT(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "p.json"), `{"zones":[{"name":"WAN","interfaces":["wan0"],"masquerade":true},{"name":"LAN","interfaces":["lan0"]}],
		"policies":[{"from":"LAN","to":"WAN","action":"accept"}],
		"nat":[{"id":7,"name":"web","nat_type":"dnat","protocol":"tcp","destination":"203.0.113.2","destination_port":"8080","translate_to":"10.1.0.5","translate_port":"80"}]}`)
	for _, c := range []struct{ in, out, src, dst, want string }{
		{"lan0", "wan0", "10.1.0.1", "192.0.2.1", `accept (policy)
  headers   pass        well-formed
  zone_in   pass        lan0 is in zone LAN
  state     pass        the first packet of a flow
  zone_out  pass        wan0 is in zone WAN
  system    pass        no system rule is for it
  rules     pass        none matches from LAN to WAN
  policy    accept      the policy from LAN to WAN
  nat       masquerade  zone WAN gives IPv4 its own source address
`},
		{"wan0", "lan0", "192.0.2.1", "203.0.113.2", `accept (nat:7)
  headers   pass    well-formed
  zone_in   pass    wan0 is in zone WAN
  state     pass    the first packet of a flow
  zone_out  pass    lan0 is in zone LAN
  system    pass    no system rule is for it
  nat       pass    NAT rule 7 (web) sends it to 10.1.0.5:80
  rules     pass    none matches from WAN to LAN
  nat       accept  NAT rule 7 (web) accepts what it translates
`},
	} {
		got := run(t, filepath.Join(dir, "none.yaml"), "", "simulate", "--policy", file, "--in", c.in, "--out", c.out, "--src", c.src, "--dst", c.dst, "--protocol", "tcp", "--dport", "8080")
		if d := cmp.Diff(outcome{0, c.want, ""}, got, cmp.AllowUnexported(outcome{})); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// Each of several errors has a line of its own.
func TestPolicyErrorsAreReadable(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "p.json"), strings.NewReplacer(`"zone_from":"LAN"`, `"zone_from":"DMZ"`).Replace(sampled))
	got := run(t, filepath.Join(dir, "none.yaml"), "", "policy", "check", file)
	want := "ngfw-agent policy check: " + file + `: 2 errors
  rules[0].zone_from: there is no zone "DMZ": write one of WAN, LAN, NEW, SELF, any
  rules[1].zone_from: there is no zone "DMZ": write one of WAN, LAN, NEW, SELF, any
`
	if d := cmp.Diff(outcome{1, "", want}, got, cmp.AllowUnexported(outcome{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
