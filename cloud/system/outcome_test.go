package system

import (
	"encoding/json"
	"fmt"
	"testing"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestOutcome(t *testing.T) {
	full := func(v int64) func(*outcome) { return func(o *outcome) { o.apply(sectionFull, v) } }
	applied := func(s string, v int64) func(*outcome) { return func(o *outcome) { o.apply(s, v) } }
	failed := func(s string, v int64) func(*outcome) {
		return func(o *outcome) { o.fail(s, failure{Version: v, Message: "m", Field: "f"}) }
	}
	connected := func(v map[string]int64) func(*outcome) { return func(o *outcome) { o.runs(v) } }
	cases := []struct {
		name    string
		told    []func(*outcome)
		wanted  int64
		applied int64
		state   string
		section string
	}{
		{"nothing told", nil, 1, 0, "pending", ""},
		{"applied", []func(*outcome){full(3)}, 3, 3, "synced", ""},
		{"something newer is wanted", []func(*outcome){full(3)}, 4, 3, "pending", ""},
		{"failed", []func(*outcome){full(3), failed("firewall", 4)}, 4, 3, "failed", "firewall"},
		{"failed, and something newer is on its way", []func(*outcome){full(3), failed("firewall", 4)}, 5, 3, "pending", ""},
		{"mended", []func(*outcome){full(3), failed("firewall", 4), applied("firewall", 5)}, 5, 5, "synced", ""},
		{"another section is newer and fine", []func(*outcome){full(3), failed("firewall", 4), applied("dns", 5)}, 5, 5, "failed", "firewall"},
		{"all of it is newer and fine", []func(*outcome){failed("firewall", 4), failed("dns", 5), full(6)}, 6, 6, "synced", ""},
		{"an older one superseded, told late", []func(*outcome){full(6), failed("firewall", 5)}, 7, 6, "pending", ""},
		{"the newest failure is shown", []func(*outcome){failed("dns", 4), failed("firewall", 5)}, 5, 0, "failed", "firewall"},
		{"reset router", []func(*outcome){full(6), connected(nil)}, 6, 0, "pending", ""},
		{"applied while the cloud was away", []func(*outcome){failed("firewall", 6), connected(map[string]int64{"firewall": 6})}, 6, 6, "synced", ""},
		{"does not run what it should", []func(*outcome){full(5), failed("firewall", 6), connected(map[string]int64{"full": 5})}, 6, 5, "failed", "firewall"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var o outcome
			for _, told := range c.told {
				told(&o)
			}
			// As after a restart.
			b, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			var again outcome
			if err := json.Unmarshal(b, &again); err != nil {
				t.Fatal(err)
			}
			got := again.state(c.wanted, nil)
			if got.Wanted != c.wanted || got.Applied != c.applied || got.State != c.state || got.GetError().GetSection() != c.section {
				t.Errorf("%v, want applied %d, %s, error in %q", got, c.applied, c.state, c.section)
			}
		})
	}
}

// What is applied and not in force is degraded, with the reason, until a newer document
// is applied.
func TestDegraded(t *testing.T) {
	lack := []*ngfwv1.SectionLack{{Section: "ids", Version: 4, Reason: "rule set a: cannot be fetched"}}
	var o outcome
	o.apply(sectionFull, 3)
	o.apply("ids", 4)
	o.apply(sectionFull, 4)
	got := o.state(4, lack)
	if got.State != "degraded" || got.GetError().GetSection() != "ids" || got.GetError().GetMessage() != lack[0].Reason || got.Applied != 4 {
		t.Errorf("%v", got)
	}
	if got := o.state(5, lack); got.State != "pending" || got.Error != nil {
		t.Errorf("something newer is wanted: %v", got)
	}
	o.apply("ids", 5)
	if got := o.state(5, lack); got.State != "synced" {
		t.Errorf("the router has not said it of the newer document: %v", got)
	}
	o.fail("firewall", failure{Version: 6, Message: "m"})
	if got := o.state(6, lack); got.State != "failed" || got.GetError().GetSection() != "firewall" {
		t.Errorf("%v", got)
	}
}

func TestOutcomeIsBounded(t *testing.T) {
	var o outcome
	for i := range 1000 {
		o.apply(fmt.Sprint("a", i), 1)
		o.fail(fmt.Sprint("b", i), failure{Version: 1})
	}
	if len(o.Applied) != maxSections || len(o.Failed) != maxSections {
		t.Errorf("%d applied, %d failed", len(o.Applied), len(o.Failed))
	}
}
