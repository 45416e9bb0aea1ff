package domaintest

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// nextSecond waits until the clock that versions are stamped with has moved on,
// and returns the last second before.
func nextSecond() int64 {
	before := time.Now().Unix()
	for time.Now().Unix() == before {
		time.Sleep(5 * time.Millisecond)
	}
	return before
}

func TestRulesAsTheyWere(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "home").Id
	first := p.addRule(t, device, rule("one", "LAN", "WAN", "drop"))
	then := nextSecond()
	second := p.addRule(t, device, rule("two", "LAN", "WAN", "accept"))
	if _, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: first.Id, Rule: rule("uno", "LAN", "WAN", "reject")}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.firewall.UpdatePolicies(as("a"), &ngfwv1.UpdatePoliciesRequest{DeviceId: device, Policies: []*ngfwv1.ZonePolicy{{From: "LAN", To: "WAN", Action: "drop"}}}); err != nil {
		t.Fatal(err)
	}
	list := func(at *int64) string {
		t.Helper()
		r, err := p.firewall.ListRules(as("a"), &ngfwv1.ListRulesRequest{DeviceId: device, AsOf: at})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, rule := range r.Rules {
			names = append(names, rule.Name+" "+rule.Action)
		}
		return strings.Join(names, ", ")
	}
	if got := list(&then); got != "one drop" {
		t.Errorf("then: %s", got)
	}
	if now, want := list(nil), "uno reject, two accept"; now != want || list(proto.Int64(time.Now().Unix()+100)) != want {
		t.Errorf("now: %s", now)
	}
	old, err := p.firewall.ListPolicies(as("a"), &ngfwv1.ListPoliciesRequest{DeviceId: device, AsOf: &then})
	if err != nil || len(old.Policies) < 2 {
		t.Errorf("policies then: %v, %v", old, err)
	}
	if _, err := p.firewall.ListRules(as("a"), &ngfwv1.ListRulesRequest{DeviceId: device, AsOf: proto.Int64(then - 1e6)}); !fault.Is(err, fault.NotFound) {
		t.Errorf("before there was a router: %v", err)
	}
	f, _ := fault.As(func() error {
		_, err := p.firewall.ListRules(as("a"), &ngfwv1.ListRulesRequest{DeviceId: device, AsOf: proto.Int64(-5)})
		return err
	}())
	if f == nil || f.Field() != "as_of" {
		t.Errorf("a time that is none: %v", f)
	}
	if _, err := p.firewall.ListRules(as("b"), &ngfwv1.ListRulesRequest{DeviceId: device, AsOf: &then}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("another organisation: %v", err)
	}

	t.Run("why", func(t *testing.T) {
		revision := p.version(t, device) - 3 // of the first rule
		e := &ngfwv1.LogEntry{DeviceId: device, RuleId: &first.Id, PolicyRevision: revision, Reason: "rule", Action: "drop"}
		got, err := p.firewall.Explain(as("a"), e)
		if err != nil {
			t.Fatal(err)
		}
		if got.Rule.GetName() != "one" || got.Rule.GetAction() != "drop" || got.Revision != revision ||
			got.Author != "a@example.org" || got.Time < then-60 || got.Time > then || !strings.Contains(got.Text, `"one": drop`) {
			t.Errorf("%v", got)
		}
		e.RuleId, e.Reason, e.ZoneFrom, e.ZoneTo = nil, "policy", "LAN", "WAN"
		if got, err := p.firewall.Explain(as("a"), e); err != nil || got.Rule != nil || !strings.Contains(got.Text, "from LAN to WAN: accept") {
			t.Errorf("by policy: %v, %v", got, err)
		}
		e.RuleId = &second.Id
		if _, err := p.firewall.Explain(as("a"), e); !fault.Is(err, fault.NotFound) {
			t.Errorf("a rule that was not there yet: %v", err)
		}
		e.PolicyRevision = 999
		if _, err := p.firewall.Explain(as("a"), e); !fault.Is(err, fault.NotFound) {
			t.Errorf("a revision that is not there: %v", err)
		}
	})
}
