package domaintest

import (
	"fmt"
	"testing"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// BenchmarkRuleWrite is the cost of one change to a policy of 1,000 rules, from
// the request to the durable version.
func BenchmarkRuleWrite(b *testing.B) {
	p, device := thousandRules(b)
	for i := 0; b.Loop(); i++ {
		r := rule(fmt.Sprint("changed ", i), "LAN", "WAN", "drop")
		if _, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: 500, Rule: r}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRuleList reads them all.
func BenchmarkRuleList(b *testing.B) {
	p, device := thousandRules(b)
	for b.Loop() {
		if _, err := p.firewall.ListRules(as("a"), &ngfwv1.ListRulesRequest{DeviceId: device}); err != nil {
			b.Fatal(err)
		}
	}
}

func thousandRules(b *testing.B) (*process, string) {
	p, _ := newProcess(b)
	device := p.register(b, "a", "edge").Id
	for i := range 1000 {
		source := fmt.Sprintf("10.0.%d.%d", i/250, i%250)
		r := rule(fmt.Sprint("rule ", i), "LAN", "WAN", "drop")
		r.Source = &source
		p.addRule(b, device, r)
	}
	return p, device
}
