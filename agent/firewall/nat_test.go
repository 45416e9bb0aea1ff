package firewall

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// forwarding is a document that forwards a port to an address.
func forwarding(to string) []byte {
	text := strings.TrimSuffix(string(document("WAN", "")), "}")
	return []byte(text + `,"nat":[{"id":1,"name":"web","nat_type":"dnat","protocol":"tcp","destination":"192.0.2.1","destination_port":"80","translate_to":"` + to + `"}]}`)
}

// known are the addresses that the table, as it was loaded, sends packets to.
func (w *world) known() (loads []string) {
	for _, r := range w.rules {
		var names []string
		for _, g := range r.Targets {
			for _, t := range g.Targets {
				names = append(names, t.To.Unmap().String())
			}
		}
		loads = append(loads, strings.Join(names, " "))
	}
	return loads
}

// The table knows what an image sends packets to before the image is active, and
// what packets under way were sent to until the change after.
func TestTargetsComeFirst(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	apply(t, s, 1, document("WAN", ""))
	apply(t, s, 2, forwarding("10.0.0.5"))
	apply(t, s, 3, forwarding("10.0.0.6"))
	apply(t, s, 4, forwarding("10.0.0.6")) // another revision, the same targets
	want := []string{"", "10.0.0.5", "10.0.0.5", "10.0.0.6 10.0.0.5", "10.0.0.6 10.0.0.5", "10.0.0.6"}
	if diff := cmp.Diff(want, w.known()); diff != "" {
		t.Errorf("targets of the loads (-want +got):\n%s", diff)
	}
	a, b, c := w.images[1].NAT.Generation, w.images[2].NAT.Generation, w.images[3].NAT.Generation
	if a == b || b != c {
		t.Errorf("generations %d, %d, %d: other targets have another, the same ones the same", a, b, c)
	}
	// A restart has the same, so that nothing under way is lost.
	again := w.section()
	if ok, err := again.Restore(); !ok || err != nil {
		t.Fatal(err)
	}
	if g := w.images[len(w.images)-1].NAT.Generation; g != c {
		t.Errorf("generation %d after a restart, %d before", g, c)
	}
}

// Policy and NAT are one revision: what fails leaves both.
func TestFailedSwapLeavesNAT(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	apply(t, s, 1, forwarding("10.0.0.5"))
	w.kernel = errors.New("out of memory")
	if err := s.Apply(context.Background(), 2, forwarding("10.0.0.6")); !errors.Is(err, w.kernel) {
		t.Fatal(err)
	}
	if got := w.known(); got[len(got)-1] != "10.0.0.5" || w.enforced() != 1 || s.Version() != 1 {
		t.Errorf("tables %q, the kernel has %d, version %d", got, w.enforced(), s.Version())
	}
	w.kernel, w.table = nil, errors.New("no nf_tables")
	if err := s.Apply(context.Background(), 2, forwarding("10.0.0.6")); !errors.Is(err, w.table) || w.enforced() != 1 || len(w.images) != 1 {
		t.Errorf("%v, the kernel has %d: nothing is sent to what the table does not know", err, w.enforced())
	}
}

func TestFlowsEndWithTheirAddress(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	var ended []netip.Addr
	s.deps.Forget = func(lost []netip.Addr) (int, error) { ended = append(ended, lost...); return 1, nil }
	kept, lost := w.addresses[0], netip.MustParseAddr("192.0.2.1")
	w.addresses = append(w.addresses, lost)
	apply(t, s, 1, forwarding("10.0.0.5"))
	w.addresses = []netip.Addr{kept, netip.MustParseAddr("192.0.2.2")}
	if err := s.Readdress(); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 1 || ended[0] != lost {
		t.Errorf("ended with %v, lost is %v", ended, lost)
	}
}
