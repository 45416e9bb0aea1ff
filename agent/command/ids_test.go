package command

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDSCheck(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "agent.yaml")
	good := write(t, filepath.Join(dir, "good.rules"), "alert tcp any any -> any any (content:\"a\"; sid:1;)\n"+
		"#alert tcp any any -> any any (sid:2;)\nalert tcp any any -> any any (requires: version >= 99; sid:3;)\n")
	bad := write(t, filepath.Join(dir, "bad.rules"), "alert tcp any any -> any any (sid:4; \\\n  lua:x;)\nalert tcp $MY_NET any -> any any (sid:5;)\n")

	got := run(t, settings, "", "ids", "check", "--rules", good)
	want := outcome{0, "skipped: " + good + ":3: sid 3: requirement not met: version >= 99\n" +
		"1 accepted, 0 refused, 1 skipped, 0 superseded by a later revision, 1 commented out\n", ""}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	got = run(t, settings, "", "ids", "check", "--rules", bad, "--rules", good)
	if got.code != 1 || !strings.Contains(got.out, "refused: "+bad+":2:3: sid 4: lua: scripts are not supported\n") ||
		!strings.Contains(got.out, bad+":3:11: ") || got.err != "" {
		t.Errorf("%+v", got)
	}

	got = run(t, settings, "", "ids", "check", "--rules", bad, "--set", "vars.address-groups.MY_NET=[10.0.0.0/8]", "--set", "nosuch.key=1", "-o", "json")
	var answer checked
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	wantAnswer := checked{Accepted: 1, Skipped: []skippedRule{}, Refused: []refusedRule{{bad, 2, 3, 4, "lua: scripts are not supported"}}}
	if d := cmp.Diff(wantAnswer, answer); d != "" || got.code != 1 || got.err != "without meaning here: nosuch.key\n" {
		t.Errorf("%d %q (-want +got):\n%s", got.code, got.err, d)
	}

	for _, args := range [][]string{{"check"}, {}, {"check", "--rules", good, "--set", "x"}, {"check", "--rules", good, "-o", "xml"}} {
		if got := run(t, settings, "", append([]string{"ids"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := run(t, settings, "", "ids", "check", "--rules", filepath.Join(dir, "none")); got.code != 1 || !strings.Contains(got.err, "no such file") {
		t.Errorf("%+v", got)
	}
}
