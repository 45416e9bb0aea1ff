package liveframe

import (
	"testing"
)

func TestEstablished(t *testing.T) {
	needsRoot(t)
	kinds := []Traffic{{In: true}, {TCP: true}, {V6: true, TCP: true, In: true}}
	for _, c := range []Case{NFTMasquerade} {
		all, err := Established(t.Context(), c, 300, kinds)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range kinds {
			m := all[k]
			t.Logf("%-28s %v: %4.0f ns (%.0f less %.0f)", m.Case, k, m.Cost, m.Gross, m.Overhead)
			if m.Overhead <= 0 || m.Cost <= m.Overhead/10 {
				t.Errorf("%s, %v costs nothing: %+v", c.Name, k, m)
			}
		}
	}
}
