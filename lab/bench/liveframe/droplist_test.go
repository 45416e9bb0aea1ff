package liveframe

import (
	"os"
	"testing"
)

// Small sets, of which the counts must be right all the same.
func TestLists(t *testing.T) {
	needsRoot(t)
	agent := os.Getenv("NGFW_BENCH_AGENT")
	if agent == "" {
		t.Skip("SKIPPED: NGFW_BENCH_AGENT names no built agent")
	}
	for _, v6 := range []bool{false, true} {
		ours, rival, err := Lists(t.Context(), agent, v6, 20_000, 2)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("v6 %v: %.0f ns against %.0f; loaded in %v against %v", v6, ours[1].Cost, rival[1].Cost, ours[0].Load, rival[0].Load)
	}
}
