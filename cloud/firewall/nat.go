package firewall

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const kindNAT = "nat"

func natMembers(s *resource.Section[policy.Policy]) resource.Members[policy.Policy, policy.NATRule] {
	return resource.Members[policy.Policy, policy.NATRule]{
		Section: s, Kind: kindNAT, Noun: "NAT rule", Field: "nat",
		List:  func(p *policy.Policy) *[]policy.NATRule { return &p.NAT },
		ID:    func(n *policy.NATRule) *int64 { return &n.ID },
		Label: func(n policy.NATRule) string { return n.Name },
	}
}

// NAT is the API's NATService: NAT rules are part of the section, because they
// and the rules are one revision.
type NAT struct {
	ngfwv1.UnimplementedNATServiceServer
	s *Service
}

// NAT is the service's other half.
func (s *Service) NAT() *NAT { return &NAT{s: s} }

// ListNATRules lists the NAT rules in order, with what they have translated.
func (n *NAT) ListNATRules(ctx context.Context, req *ngfwv1.ListNATRulesRequest) (*ngfwv1.ListNATRulesResponse, error) {
	id, p, err := n.s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, p.NAT)
	list, err := n.show(ctx, id, p.NAT)
	return &ngfwv1.ListNATRulesResponse{Rules: list}, err
}

// CreateNATRule adds a NAT rule, last or before another one.
func (n *NAT) CreateNATRule(ctx context.Context, req *ngfwv1.CreateNATRuleRequest) (*ngfwv1.NATRule, error) {
	id, err := n.s.device(ctx, req.GetDeviceId())
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
	rule, err := decodeNATRule(req.GetRule())
	if err != nil {
		return nil, err
	}
	rule, version, err := n.s.nat.Create(ctx, id, rule, before)
	return n.answer(ctx, id, rule, version, err)
}

// UpdateNATRule replaces a NAT rule; its place, id and counts stay.
func (n *NAT) UpdateNATRule(ctx context.Context, req *ngfwv1.UpdateNATRuleRequest) (*ngfwv1.NATRule, error) {
	id, err := n.s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if m := req.GetRule(); m != nil && m.Before != nil {
		return nil, fault.Invalid("before", "an update leaves a rule in its place: move it with PUT /api/nat/rules/order")
	}
	rule, err := decodeNATRule(req.GetRule())
	if err != nil {
		return nil, err
	}
	rule, version, err := n.s.nat.Update(ctx, id, req.GetId(), rule)
	return n.answer(ctx, id, rule, version, err)
}

// DeleteNATRule removes a NAT rule.
func (n *NAT) DeleteNATRule(ctx context.Context, req *ngfwv1.DeleteNATRuleRequest) (*emptypb.Empty, error) {
	id, err := n.s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	version, err := n.s.nat.Delete(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

// OrderNATRules reorders all NAT rules.
func (n *NAT) OrderNATRules(ctx context.Context, req *ngfwv1.OrderNATRulesRequest) (*ngfwv1.ListNATRulesResponse, error) {
	id, err := n.s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	ordered, version, err := n.s.nat.Order(ctx, id, "rule_ids", req.GetRuleIds())
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, ordered)
	list, err := n.show(ctx, id, ordered)
	return &ngfwv1.ListNATRulesResponse{Rules: list}, err
}

// ListUPnPLeases lists none: routers serve no UPnP.
func (n *NAT) ListUPnPLeases(ctx context.Context, req *ngfwv1.ListUPnPLeasesRequest) (*ngfwv1.ListUPnPLeasesResponse, error) {
	_, err := n.s.device(ctx, req.GetDeviceId())
	return &ngfwv1.ListUPnPLeasesResponse{}, err
}

// DeleteUPnPLease finds none.
func (n *NAT) DeleteUPnPLease(ctx context.Context, req *ngfwv1.DeleteUPnPLeaseRequest) (*emptypb.Empty, error) {
	if _, err := n.s.device(ctx, req.GetDeviceId()); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.NotFound, "no UPnP lease %q: routers serve no UPnP, forward the port with POST /api/nat/rules", req.GetId())
}

func decodeNATRule(m *ngfwv1.NATRule) (policy.NATRule, error) {
	if m = proto.CloneOf(m); m == nil {
		m = &ngfwv1.NATRule{}
	}
	m.Before = nil // where it goes is no part of a rule
	return resource.FromMessage(m, policy.DecodeNATRule)
}

func (n *NAT) answer(ctx context.Context, deviceID string, rule policy.NATRule, version int64, err error) (*ngfwv1.NATRule, error) {
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, rule)
	list, err := n.show(ctx, deviceID, []policy.NATRule{rule})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// show joins NAT rules with what they have counted.
func (n *NAT) show(ctx context.Context, deviceID string, rules []policy.NATRule) ([]*ngfwv1.NATRule, error) {
	counters, err := n.s.deps.Counters.NATCounters(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	list := make([]*ngfwv1.NATRule, len(rules))
	for i, r := range rules {
		m := &ngfwv1.NATRule{}
		if err := resource.ToMessage(r, m); err != nil {
			return nil, err
		}
		if c := counters[r.ID]; c != nil {
			m.Packets, m.Bytes = c.GetHits(), c.GetHitBytes()
		}
		list[i] = m
	}
	return list, nil
}

// placed reads where something new goes, which the query or the body says: 0 is
// last.
func placed(query string, body *int64) (int64, error) {
	if body != nil && *body < 1 {
		return 0, fault.Invalid("before", "%d is not the id of a rule", *body)
	}
	if query == "" {
		if body == nil {
			return 0, nil
		}
		return *body, nil
	}
	id, err := strconv.ParseInt(query, 10, 64)
	if err != nil || id < 1 {
		return 0, fault.Invalid("before", "%q is not the id of a rule", query)
	}
	if body != nil && *body != id {
		return 0, fault.Invalid("before", "the query says %d and the body %d: say it once", id, *body)
	}
	return id, nil
}
