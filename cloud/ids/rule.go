package ids

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/ids"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func ruleMembers(s *resource.Section[ids.Document]) resource.Members[ids.Document, ids.Rule] {
	return resource.Members[ids.Document, ids.Rule]{
		Section: s, Kind: "rule", Field: "rules",
		List:  func(d *ids.Document) *[]ids.Rule { return &d.Rules },
		ID:    func(r *ids.Rule) *int64 { return &r.ID },
		Label: func(r ids.Rule) string { return r.Name },
	}
}

// ListIDSRules lists the custom rules.
func (s *Service) ListIDSRules(ctx context.Context, req *ngfwv1.ListIDSRulesRequest) (*ngfwv1.ListIDSRulesResponse, error) {
	_, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, d.Rules)
	out := &ngfwv1.ListIDSRulesResponse{}
	for _, r := range d.Rules {
		out.Rules = append(out.Rules, showRule(r))
	}
	return out, nil
}

// CreateIDSRule adds a custom rule.
func (s *Service) CreateIDSRule(ctx context.Context, req *ngfwv1.CreateIDSRuleRequest) (*ngfwv1.IDSRule, error) {
	c, id, err := s.caller(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	m := req.GetRule()
	add := ids.Rule{Name: m.GetName(), Rule: m.GetRule(), Enabled: m.Enabled == nil || m.GetEnabled(), Category: m.GetCategory()}
	members := s.rules
	members.GuardCreate = func(d *ids.Document, _ ids.Rule) error {
		limit := s.cfg.Rules[c.Plan]
		if limit >= 0 && len(d.Rules) >= limit {
			f := fault.New(fault.PlanLimit, "the plan includes %d custom rules: remove one, or change the plan", limit)
			f.Details = map[string]any{"limit_info": map[string]any{"limit": limit, "current": len(d.Rules)}}
			return f
		}
		return nil
	}
	// What the rule's text says is known before the whole is judged.
	_, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	parsed, err := ids.ParseRule(d, add.Rule)
	if err != nil {
		return nil, fault.Invalid("rule", "%v", err)
	}
	add.SID = int64(parsed.SID)
	if add.Name == "" {
		add.Name = parsed.Message
	}
	if add.Category == "" {
		add.Category = ids.CategoryOf(parsed.Class)
	}
	add, version, err := members.Create(ctx, id, add, 0)
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, add)
	return showRule(add), nil
}

// DeleteIDSRule removes a custom rule.
func (s *Service) DeleteIDSRule(ctx context.Context, req *ngfwv1.DeleteIDSRuleRequest) (*emptypb.Empty, error) {
	_, id, err := s.caller(ctx, req.GetDeviceId())
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

func showRule(r ids.Rule) *ngfwv1.IDSRule {
	return &ngfwv1.IDSRule{Id: r.ID, Name: r.Name, Rule: r.Rule, Enabled: &r.Enabled, Category: &r.Category, Sid: r.SID}
}
