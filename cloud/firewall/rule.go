package firewall

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const kindRule = "rule"

func ruleMembers(s *resource.Section[policy.Policy]) resource.Members[policy.Policy, policy.Rule] {
	return resource.Members[policy.Policy, policy.Rule]{
		Section: s, Kind: kindRule, Field: "rules",
		List:  func(p *policy.Policy) *[]policy.Rule { return &p.Rules },
		ID:    func(r *policy.Rule) *int64 { return &r.ID },
		Label: func(r policy.Rule) string { return r.Name },
	}
}

// ListRules lists the rules in order, with what they have counted.
func (s *Service) ListRules(ctx context.Context, req *ngfwv1.ListRulesRequest) (*ngfwv1.ListRulesResponse, error) {
	id, p, err := s.readAsOf(ctx, req.GetDeviceId(), req.AsOf)
	if err != nil {
		return nil, err
	}
	if req.AsOf != nil {
		id = "" // what the rules had counted then is not known
	} else {
		etag.Tell(ctx, p.Rules)
	}
	list, err := s.showRules(ctx, id, p.Rules)
	return &ngfwv1.ListRulesResponse{Rules: list}, err
}

// CreateRule adds a rule, last or before another one.
func (s *Service) CreateRule(ctx context.Context, req *ngfwv1.CreateRuleRequest) (*ngfwv1.FirewallRule, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	var inBody *int64
	if m := req.GetRule(); m != nil {
		inBody = m.Before
	}
	before, err := placed(req.GetBefore(), inBody)
	if err != nil {
		return nil, err
	}
	rule, err := decodeRule(req.GetRule())
	if err != nil {
		return nil, err
	}
	rule, version, err := s.rules.Create(ctx, id, rule, before)
	return s.answerRule(ctx, id, rule, version, err)
}

// UpdateRule replaces a rule; its place, id and counts stay.
func (s *Service) UpdateRule(ctx context.Context, req *ngfwv1.UpdateRuleRequest) (*ngfwv1.FirewallRule, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if m := req.GetRule(); m != nil && m.Before != nil {
		return nil, fault.Invalid("before", "an update leaves a rule in its place: move it with PUT /api/firewall/rules/order")
	}
	rule, err := decodeRule(req.GetRule())
	if err != nil {
		return nil, err
	}
	rule, version, err := s.rules.Update(ctx, id, req.GetId(), rule)
	return s.answerRule(ctx, id, rule, version, err)
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(ctx context.Context, req *ngfwv1.DeleteRuleRequest) (*emptypb.Empty, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	version, err := s.rules.Delete(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

// OrderRules reorders all rules.
func (s *Service) OrderRules(ctx context.Context, req *ngfwv1.OrderRulesRequest) (*ngfwv1.ListRulesResponse, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	ordered, version, err := s.rules.Order(ctx, id, "rule_ids", req.GetRuleIds())
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, ordered)
	list, err := s.showRules(ctx, id, ordered)
	return &ngfwv1.ListRulesResponse{Rules: list}, err
}

func decodeRule(m *ngfwv1.FirewallRule) (policy.Rule, error) {
	if m = proto.CloneOf(m); m == nil {
		m = &ngfwv1.FirewallRule{}
	}
	m.Before = nil // where it goes is no part of a rule
	return resource.FromMessage(m, policy.DecodeRule)
}

func (s *Service) answerRule(ctx context.Context, deviceID string, rule policy.Rule, version int64, err error) (*ngfwv1.FirewallRule, error) {
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, rule)
	list, err := s.showRules(ctx, deviceID, []policy.Rule{rule})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// showRules joins rules with what they have counted on a device; without one
// they have counted nothing.
func (s *Service) showRules(ctx context.Context, deviceID string, rules []policy.Rule) ([]*ngfwv1.FirewallRule, error) {
	counters := map[int64]*ngfwv1.RuleCounter{}
	if deviceID != "" {
		var err error
		if counters, err = s.deps.Counters.RuleCounters(ctx, deviceID); err != nil {
			return nil, err
		}
	}
	list := make([]*ngfwv1.FirewallRule, len(rules))
	for i, r := range rules {
		m := &ngfwv1.FirewallRule{}
		if err := resource.ToMessage(r, m); err != nil {
			return nil, err
		}
		if c := counters[r.ID]; c != nil {
			m.Hits, m.HitBytes = c.GetHits(), c.GetHitBytes()
			if c.GetLastHit() > 0 {
				m.LastHit = proto.Int64(c.GetLastHit())
			}
		}
		list[i] = m
	}
	return list, nil
}
