package dataplane

import (
	"errors"
	"os"
	"testing"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
}

// TestClassifierAgreesWithReference holds the BPF classifier against the plain
// evaluator on random policies and packets near their boundaries.
func TestClassifierAgreesWithReference(t *testing.T) {
	needRoot(t)
	var compiled, judged int
	rapid.Check(t, func(t *rapid.T) {
		p := policytest.Policies().Draw(t, "policy")
		env := policytest.Envs().Draw(t, "env")
		env.Cloud = nil // enforced from the settings, not by the classifier
		env.System &^= policy.SystemSet(policy.SystemCloud)
		im, err := policy.Compile(p, env)
		if err != nil {
			return // refused by name; policy's own tests hold what may be
		}
		s, err := NewSimulator(im)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		compiled++
		for range 40 {
			packet := policytest.Packets(p, env).Draw(t, "packet")
			want, err := policy.Evaluate(p, env, packet)
			if err != nil {
				continue // both ends the router's own, say
			}
			question, ok := im.Packet(packet)
			if !ok {
				continue // families differ: no such packet can be put on a wire
			}
			v, err := s.Judge(question)
			if err != nil {
				t.Fatal(err)
			}
			judged++
			if got := v.Result(); got != want {
				t.Fatalf("packet %+v\nprogram   %+v\nreference %+v", packet, got, want)
			}
		}
	})
	t.Logf("%d policies, %d packets", compiled, judged)
	if judged < 1000 {
		t.Errorf("only %d packets were judged: the generators refuse too much", judged)
	}
}

func TestSimulatorWithoutImageGivesNoVerdict(t *testing.T) {
	needRoot(t)
	s, err := newSimulator(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Judge(policy.ImagePacket{From: 2, To: 3, Source: [16]byte{10: 0xff, 11: 0xff, 12: 10}, Destination: [16]byte{10: 0xff, 11: 0xff, 12: 11}, Protocol: 6})
	if err == nil || errors.Is(err, os.ErrPermission) {
		t.Fatalf("judged without a policy: %v", err)
	}
}
