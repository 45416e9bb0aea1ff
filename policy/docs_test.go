package policy_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"ngfw.sh/policy"
)

// TestDocs holds docs/policy.md to what it says: its example is answered as it
// stands there, and its tables list every name.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for part := range strings.SplitSeq(string(text), "```json\n") {
		if block, _, ok := strings.Cut(part, "```"); ok {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) != 3 {
		t.Fatalf("%d examples: a policy, packets and answers are expected", len(blocks))
	}
	p := decode(t, blocks[0])
	packets, err := policy.DecodePackets([]byte(blocks[1]), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var answers []struct {
		Action policy.Action `json:"action"`
		RuleID int64         `json:"rule_id"`
		Reason string        `json:"reason"`
	}
	if err := json.Unmarshal([]byte(blocks[2]), &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(packets) {
		t.Fatalf("%d packets, %d answers", len(packets), len(answers))
	}
	env := policy.Env{System: policy.SystemSet(policy.SystemNeighbourDiscovery)}
	image, err := policy.Compile(p, env)
	if err != nil {
		t.Fatal(err)
	}
	for i, packet := range packets {
		r, err := policy.Evaluate(p, env, packet)
		if err != nil {
			t.Fatal(err)
		}
		if a := answers[i]; r.Action != a.Action || r.RuleID != a.RuleID || r.Reason != a.Reason {
			t.Errorf("packet %d: %+v, the page says %+v", i, r, a)
		}
		if got := image.JudgePacket(packet).Result(); got != r {
			t.Errorf("packet %d: image %+v, reference %+v", i, got, r)
		}
	}

	_, block, _ := strings.Cut(string(text), "```\n\"rules\": [")
	block, _, found := strings.Cut(block, "```")
	fields := decode(t, `{"zones":[{"name":"WAN","interfaces":["wan0"]},{"name":"LAN"}],"rules":[`+block+`}`)
	if !found || len(fields.Rules) != 1 || !fields.Rules[0].Schedule.Enabled || len(fields.NAT) != 4 {
		t.Errorf("the examples of the fields: %+v", fields)
	}

	var names []string
	for r := policy.SystemRule(1); r.String() != "unknown"; r++ {
		names = append(names, r.String())
	}
	for r := policy.DropReason(1); r.String() != "unknown"; r++ {
		names = append(names, r.String())
	}
	for kind := uint8(policy.DeciderRule); kind <= policy.DeciderDefault; kind++ {
		names = append(names, policy.NewDecider(kind, 1).Reason())
	}
	if len(names) < 11 {
		t.Fatalf("only %v", names)
	}
	for _, name := range names {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("the page does not list %s", name)
		}
	}
	if got := policy.NewDecider(policy.DeciderNAT, 7).Reason(); got != "nat:7" {
		t.Error(got)
	}
}
