package command

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestIDSProfile(t *testing.T) {
	dir := t.TempDir()
	pcap := capture(t, "hello evil world")
	rules := write(t, filepath.Join(dir, "x.rules"), `alert udp any any -> any any (msg:"found"; content:"evil"; sid:5;)
alert udp any any -> any any (msg:"not there"; content:"good"; sid:6;)
alert udp any any -> any any (msg:"elsewhere"; content:"evil"; content:"hello"; distance:0; sid:7;)
`)
	got := run(t, "", "", "ids", "profile", "--rules", rules, "--pcap", pcap, "--ignore-checksums", "-o", "json")
	var costs []ruleCost
	if err := json.Unmarshal([]byte(got.out), &costs); got.code != 0 || err != nil {
		t.Fatalf("%+v %v", got, err)
	}
	want := []ruleCost{{GID: 1, SID: 5, Evaluations: 1, Matches: 1, Message: "found"}, {GID: 1, SID: 7, Evaluations: 1, Message: "elsewhere"}}
	if d := cmp.Diff(want, costs, cmpopts.IgnoreFields(ruleCost{}, "TotalNS", "AverageNS", "MostNS"), cmpopts.SortSlices(func(a, b ruleCost) bool { return a.SID < b.SID })); d != "" {
		t.Errorf("costs (-want +got):\n%s", d)
	}
	for i, c := range costs {
		if c.TotalNS <= 0 || c.MostNS > c.TotalNS || i > 0 && c.TotalNS > costs[i-1].TotalNS {
			t.Errorf("%+v", costs)
		}
	}
	got = run(t, "", "", "ids", "profile", "--rules", rules, "--pcap", pcap, "--ignore-checksums", "--top", "1")
	if lines := strings.Split(strings.TrimSpace(got.out), "\n"); got.code != 0 || len(lines) != 2 || !strings.HasPrefix(lines[0], "SID ") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"--rules", rules}, {"--rules", rules, "--pcap", pcap, "--top", "-1"}} {
		if got := run(t, "", "", append([]string{"ids", "profile"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
