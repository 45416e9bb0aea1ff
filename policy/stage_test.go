package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// TestStages: the last stage gives the answer, all before it are passed, and its
// name goes with the reason.
func TestStages(t *testing.T) {
	stages := []string{"headers", "zone_in", "state", "zone_out", "system", "rules", "policy", "default", "nat", "masquerade"}
	policytest.Cover(t, stages, func(t *rapid.T, seen policytest.Seen) {
		p := policytest.Policies().Draw(t, "policy")
		env := policytest.Envs().Draw(t, "env")
		image, err := policy.Compile(p, env)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			packet := policytest.Packets(p, env).Draw(t, "packet")
			v := image.JudgePacket(packet)
			e := image.Explain(packet, v)
			stages := e.Stages
			if n := len(stages); stages[n-1].Result == "masquerade" || stages[n-1].Result == "snat" {
				if e.Action != policy.Accept || stages[n-1].Stage != "nat" || stages[n-1].Reason == "" {
					t.Fatalf("translated: %+v", e)
				}
				seen[stages[n-1].Result]++
				stages = stages[:n-1]
			}
			last := stages[len(stages)-1]
			for _, s := range stages[:len(stages)-1] {
				if s.Result != "pass" || s.Reason == "" {
					t.Fatalf("%+v", e)
				}
			}
			want := map[string]string{
				"malformed": "headers", "no_state": "state", "no_zone": last.Stage, "rule": "rules", "policy": "policy", "default": "default",
			}[e.Reason]
			if v.Decider.Kind() == policy.DeciderSystem {
				want = "system"
			}
			if v.Decider.Kind() == policy.DeciderNAT {
				want = "nat"
			}
			if last.Stage != want || last.Result != string(e.Action) || last.Reason == "" || (e.RuleID != nil) != (e.Reason == "rule") {
				t.Fatalf("%+v", e)
			}
			if e.Reason == "no_zone" && last.Stage != "zone_in" && last.Stage != "zone_out" {
				t.Fatalf("%+v", e)
			}
			seen[last.Stage]++
		}
	})
}
