package firewall

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// readAsOf is read, as the section was at a moment if one is given.
func (s *Service) readAsOf(ctx context.Context, deviceID string, at *int64) (id string, p policy.Policy, err error) {
	if at == nil {
		return s.read(ctx, deviceID)
	}
	if id, err = s.device(ctx, deviceID); err != nil {
		return "", p, err
	}
	if *at < 1 {
		return "", p, fault.Invalid("as_of", "%d is not a time in Unix seconds", *at)
	}
	p, v, err := s.section.ReadAsOf(ctx, id, *at)
	if err != nil {
		return "", p, err
	}
	tellVersion(ctx, v.Version)
	return id, p, nil
}

// Explain says what decided a recorded flow: the rule or policy as it was in the
// revision that the row names. Whose row it is the caller has checked.
func (s *Service) Explain(ctx context.Context, e *ngfwv1.LogEntry) (*ngfwv1.LogExplanation, error) {
	p, v, err := s.section.ReadAt(ctx, e.GetDeviceId(), e.GetPolicyRevision())
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil, fault.New(fault.NotFound, "revision %d of the router's policy, which decided this flow, is not kept here", e.GetPolicyRevision()).Because(err)
		}
		return nil, err
	}
	out := &ngfwv1.LogExplanation{Revision: v.Version, Author: v.Author, Time: v.At}
	if e.RuleId == nil {
		out.Text = explainUnruled(p, e)
		return out, nil
	}
	i := slices.IndexFunc(p.Rules, func(r policy.Rule) bool { return r.ID == e.GetRuleId() })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "revision %d of the router's policy has no rule %d", v.Version, e.GetRuleId())
	}
	out.Rule = &ngfwv1.FirewallRule{}
	out.Text = ruleText(p.Rules[i])
	return out, resource.ToMessage(p.Rules[i], out.Rule)
}

// ruleText is a rule in a sentence, without what matches everything.
func ruleText(r policy.Rule) string {
	parts := []string{fmt.Sprintf("from %s to %s", r.ZoneFrom, r.ZoneTo)}
	for _, c := range []struct{ name, value, everything string }{
		{"source", r.Source, "any"}, {"destination", r.Destination, "any"}, {"protocol", r.Protocol, "all"},
		{"port", r.Port, "*"}, {"ICMP type", strings.Join(r.ICMPTypes, ", "), ""},
	} {
		if c.value != c.everything {
			parts = append(parts, c.name+" "+c.value)
		}
	}
	if r.Schedule.Enabled {
		parts = append(parts, fmt.Sprintf("from %s to %s o'clock", r.Schedule.Start, r.Schedule.End))
	}
	return fmt.Sprintf("rule %d %q: %s what goes %s", r.ID, r.Name, r.Action, strings.Join(parts, ", "))
}

// explainUnruled says what decides where no rule does.
func explainUnruled(p policy.Policy, e *ngfwv1.LogEntry) string {
	switch reason := e.GetReason(); {
	case reason == "policy":
		if d, ok := p.PairPolicy(e.ZoneFrom, e.ZoneTo); ok {
			return fmt.Sprintf("no rule matched; the policy from %s to %s: %s", d.From, d.To, d.Action)
		}
		return fmt.Sprintf("no rule matched; the policy of the zones from %s to %s: %s", e.ZoneFrom, e.ZoneTo, e.Action)
	case reason == "default":
		return fmt.Sprintf("no rule and no policy matched from %s to %s; what nothing allows is dropped", e.ZoneFrom, e.ZoneTo)
	case reason == "threat":
		return fmt.Sprintf("intrusion detection cut the flow off (%s), after the firewall had accepted it", e.GetThreat())
	case strings.HasPrefix(reason, "system:"):
		return fmt.Sprintf("the system rule %s, which comes before all others: %s", strings.TrimPrefix(reason, "system:"), e.Action)
	default:
		return fmt.Sprintf("no rule was asked (%s): %s", reason, e.Action)
	}
}
