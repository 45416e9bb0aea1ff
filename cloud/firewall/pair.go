package firewall

import (
	"context"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ListPolicies lists the policies of zone pairs.
func (s *Service) ListPolicies(ctx context.Context, req *ngfwv1.ListPoliciesRequest) (*ngfwv1.ListPoliciesResponse, error) {
	_, p, err := s.readAsOf(ctx, req.GetDeviceId(), req.AsOf)
	if err != nil {
		return nil, err
	}
	if req.AsOf == nil {
		etag.Tell(ctx, p.Policies)
	}
	return showPolicies(p.Policies)
}

// UpdatePolicies replaces the whole list. Field paths are those of the bare
// list: "[2].action".
func (s *Service) UpdatePolicies(ctx context.Context, req *ngfwv1.UpdatePoliciesRequest) (*ngfwv1.ListPoliciesResponse, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	list, err := resource.FromMessages(req.GetPolicies(), policy.DecodeDefaults)
	if err != nil {
		return nil, err
	}
	version, err := s.section.Perform(ctx, id, replacePolicies(list))
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, list)
	return showPolicies(list)
}

func showPolicies(list []policy.Default) (*ngfwv1.ListPoliciesResponse, error) {
	out := &ngfwv1.ListPoliciesResponse{}
	for _, d := range list {
		m := &ngfwv1.ZonePolicy{}
		if err := resource.ToMessage(d, m); err != nil {
			return nil, err
		}
		out.Policies = append(out.Policies, m)
	}
	return out, nil
}
