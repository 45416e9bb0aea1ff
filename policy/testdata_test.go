package policy_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"ngfw.sh/policy"
)

// TestStatedAnswers holds policies to answers that were written from docs/policy.md
// alone, by reference and tables; agent/command asks the same of the packet program.
func TestStatedAnswers(t *testing.T) {
	for _, name := range []string{"home", "town"} {
		t.Run(name, func(t *testing.T) { statedAnswers(t, name) })
	}
}

func statedAnswers(t *testing.T, name string) {
	read := func(name string) []byte {
		data, err := os.ReadFile("../testdata/policy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	p, err := policy.Decode(read(name + ".json"))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := policy.DecodePackets(read(name+".packets.json"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var want []struct {
		Action policy.Action `json:"action"`
		RuleID int64         `json:"rule_id"`
		Reason string        `json:"reason"`
		Why    string        `json:"why"`
	}
	if err := json.Unmarshal(read(name+".answers.json"), &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(packets) {
		t.Fatalf("%d packets, %d answers", len(packets), len(want))
	}
	env := policy.Env{System: policy.SystemSet(policy.SystemNeighbourDiscovery)}
	image, err := policy.Compile(p, env)
	if err != nil {
		t.Fatal(err)
	}
	for i, packet := range packets {
		got, err := policy.Evaluate(p, env, packet)
		if err != nil {
			t.Fatal(err)
		}
		if got.Action != want[i].Action || got.RuleID != want[i].RuleID || got.Reason != want[i].Reason {
			t.Errorf("packet %d (%s): %+v, want %+v", i, want[i].Why, got, want[i])
		}
		if tables := image.JudgePacket(packet).Result(); tables != got {
			t.Errorf("packet %d: tables say %+v, the reference %+v", i, tables, got)
		}
	}
}
