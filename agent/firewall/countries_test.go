package firewall

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

const toGermany = `{"id":4,"name":"home","zone_from":"LAN","zone_to":"WAN","destination":"geo:DE","action":"accept"}`

// accepted says whether the kernel's policy lets LAN go to an address.
func (w *world) accepted(to string) bool {
	return w.images[len(w.images)-1].JudgePacket(policy.Packet{
		In: "lan0", Out: "wan", Src: netip.MustParseAddr("10.0.1.9"), Dst: netip.MustParseAddr(to), Protocol: policy.ProtocolTCP, DstPort: 443,
	}).Action == policy.Accept
}

// A policy that names a country is enforced with a database, and refused without.
func TestCountries(t *testing.T) {
	w := newWorld(t)
	s := w.section()
	refused := func(what, text string) {
		t.Helper()
		err := s.Apply(context.Background(), 3, document("WAN", toGermany))
		if f, ok := fault.As(err); !ok || f.Field() != "rules[0].destination" || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("no database", "needs a database")

	state, opening, atlas := "1", error(nil), policytest.Atlas{netip.MustParsePrefix("203.0.113.0/24"): "DE"}
	s.deps.Countries = Countries{
		file: "countries", state: func() (string, error) { return state, nil },
		open: func() (policy.Countries, error) { return atlas, opening },
	}
	opening = errors.New("it is broken")
	refused("a broken database", "it is broken")
	if len(w.images) != 0 {
		t.Fatal("a refused policy came to the kernel")
	}
	opening = nil
	apply(t, s, 3, document("WAN", toGermany))
	if !w.accepted("203.0.113.7") || w.accepted("198.51.100.7") {
		t.Error("the country is not where the database says")
	}

	s.refreshCountries()
	if len(w.images) != 1 {
		t.Error("compiled again without need")
	}
	// Another state: a broken one leaves the countries, a good one changes them.
	state, opening = "2", errors.New("it is half there")
	s.refreshCountries()
	if len(w.images) != 1 || !strings.Contains(strings.Join(s.Degraded(), "\n"), "it is half there") {
		t.Errorf("%d images, %q", len(w.images), s.Degraded())
	}
	opening, atlas = nil, policytest.Atlas{netip.MustParsePrefix("198.51.100.0/24"): "DE"}
	s.refreshCountries()
	if w.accepted("203.0.113.7") || !w.accepted("198.51.100.7") || len(s.Degraded()) != 0 {
		t.Errorf("the new database does not hold: %q", s.Degraded())
	}
	if got := CountriesOf(""); got.open != nil {
		t.Error("there is a database without a file")
	}
	if _, err := CountriesOf("/nowhere.mmdb").state(); err == nil {
		t.Error("a missing file has a state")
	}
}
