package inspect

import (
	"slices"
	"strings"
	"testing"

	"ngfw.sh/config/ids"
)

func TestDegradedNamesInterfacesThatDoNotExist(t *testing.T) {
	s := &Section{running: &running{}, doc: ids.Document{Interfaces: []string{"lo", "no-such-if0"}}}
	got := s.Degraded()
	about := func(name string) bool {
		return slices.ContainsFunc(got, func(d string) bool { return strings.HasPrefix(d, "ids, interface "+name+":") })
	}
	if !about("no-such-if0") || about("lo") {
		t.Errorf("%q", got)
	}
}
