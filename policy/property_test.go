package policy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// TestImageAgreesWithReference is the proof of the compiler: for any policy and
// packet the tables say what the reference evaluator says.
func TestImageAgreesWithReference(t *testing.T) {
	policytest.Cover(t, []string{
		"rule", "policy", "default", "no_zone", "no_state", "malformed",
		"system:neighbour-discovery", "system:mld", "nat", "translated", "translated6", "hairpin",
		"destination by geo:", "destination by mac:", "source by geo:", "source by mac:",
	}, func(t *rapid.T, reasons policytest.Seen) {
		p := policytest.Policies().Draw(t, "policy")
		env := policytest.Envs().Draw(t, "env")
		image, err := policy.Compile(p, env)
		if err != nil {
			t.Fatalf("compile: %v", err)
		}
		packets := policytest.Packets(p, env)
		for range 40 {
			packet := packets.Draw(t, "packet")
			want, err := policy.Evaluate(p, env, packet)
			if err != nil {
				t.Fatalf("evaluate: %v", err)
			}
			if diff := cmp.Diff(want, image.JudgePacket(packet).Result()); diff != "" {
				t.Fatalf("image differs from reference (-reference +image):\n%s", diff)
			}
			reasons[want.Reason]++
			if want.Decider.Kind() == policy.DeciderNAT {
				reasons["nat"]++
			}
			if n := want.NAT; n.Rule != 0 || n.SourceRule != 0 {
				reasons["translated"]++
				if n.Rule != 0 && n.Rule == n.SourceRule {
					reasons["hairpin"]++
				}
				if n.Destination.Is6() {
					reasons["translated6"]++
				}
				for _, rule := range p.NAT {
					for _, kind := range []string{"geo:", "mac:"} {
						switch text := rule.Source + rule.Destination; {
						case !strings.Contains(text, kind):
						case rule.ID == n.Rule:
							reasons["destination by "+kind]++
						case rule.ID == n.SourceRule:
							reasons["source by "+kind]++
						}
					}
				}
			}
		}
	})
}

// TestJSONRoundTrip: what the cloud stores is what it read.
func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policytest.Policies().Draw(t, "policy")
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := policy.Decode(text)
		if err != nil {
			t.Fatalf("decode %s: %v", text, err)
		}
		again, err := json.Marshal(decoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), string(again)); diff != "" {
			t.Fatalf("round trip (-first +second):\n%s", diff)
		}
	})
}
