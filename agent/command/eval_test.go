package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPolicyEvalOfFiles asks the packet program and the reference by command.
func TestPolicyEvalOfFiles(t *testing.T) {
	for _, name := range []string{"home", "town"} {
		t.Run(name, func(t *testing.T) { evalOf(t, name) })
	}
}

func evalOf(t *testing.T, name string) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	const dir = "../../testdata/policy/"
	var out, said bytes.Buffer
	root := New(Env{Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &said, Version: "test"})
	if code := Execute(context.Background(), root, []string{"policy", "eval", "--policy", dir + name + ".json", "--packets", dir + name + ".packets.json", "-o", "json"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, &said)
	}
	text, err := os.ReadFile(dir + name + ".answers.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []answer
	var got []struct {
		answer
		BPF, Reference answer
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i := range want {
		for who, a := range map[string]answer{"answer": got[i].answer, "bpf": got[i].BPF, "reference": got[i].Reference} {
			if diff := cmp.Diff(want[i], a); diff != "" {
				t.Errorf("packet %d, %s (-want +got):\n%s", i, who, diff)
			}
		}
	}
}
