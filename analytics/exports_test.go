package analytics

import (
	"testing"

	"ngfw.sh/internal/fault"
)

// Who reads slowly, as many as they are, leaves others theirs.
func TestExportsOfOneOrganisationLeaveRoom(t *testing.T) {
	e := newExports(4)
	for org, want := range map[string]int{"a": 2, "b": 2} {
		for range want {
			if err := e.enter(org); err != nil {
				t.Errorf("%s: %v", org, err)
			}
		}
		if err := e.enter(org); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s has more than half: %v", org, err)
		}
	}
	if err := e.enter("c"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("more than all: %v", err)
	}
	for _, org := range []string{"a", "b", "a", "b"} {
		e.leave(org)
	}
	if e.all != 0 || len(e.orgs) != 0 {
		t.Errorf("%d are left, %v", e.all, e.orgs)
	}
	if one := newExports(1); one.enter("a") != nil || one.enter("a") == nil {
		t.Error("one export is one")
	}
}
