package liveframe

import (
	"testing"
)

func TestEstablished(t *testing.T) {
	needsRoot(t)
	kinds := []Traffic{{In: true}, {TCP: true}, {V6: true, TCP: true, In: true}}
	cases := []Case{NFTMasquerade}
	const turns = 2
	all, err := Established(t.Context(), cases, 300, kinds, turns)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if len(all[k]) != len(cases) || len(all[k][0]) != turns {
			t.Fatalf("%v: measured %v, want %d turns", k, all[k], turns)
		}
		for _, m := range all[k][0] {
			t.Logf("%-28s %v: %4.0f ns (%.0f less %.0f)", m.Case, k, m.Cost, m.Gross, m.Overhead)
			if m.Overhead <= 0 || m.Cost <= m.Overhead/10 {
				t.Errorf("%s, %v costs nothing: %+v", m.Case, k, m)
			}
		}
	}
}
