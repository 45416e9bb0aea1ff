package firewall

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Addresses knows a router's own addresses, as far as it has reported them.
type Addresses interface {
	OwnAddresses(ctx context.Context, deviceID string) ([]netip.Addr, error)
}

// environment is what these policies mean on the device. Countries are those of the
// cloud's database, which may differ from the router's.
func (s *Service) environment(ctx context.Context, deviceID string, policies ...policy.Policy) (policy.Env, error) {
	self, err := s.deps.Addresses.OwnAddresses(ctx, deviceID)
	env := policy.Env{SelfAddresses: self, System: policy.RouterSystem}
	if err != nil {
		return env, err
	}
	for _, p := range policies {
		codes := policy.CountryCodes(p)
		if len(codes) == 0 {
			continue
		}
		if s.deps.Countries == nil {
			var wrong []fault.Field
			for _, code := range slices.Sorted(maps.Keys(codes)) {
				wrong = append(wrong, fault.Field{Path: codes[code], Message: "geo:" + code +
					" cannot be analysed: the cloud has no database of countries, name one as geoip in its configuration"})
			}
			return env, fault.InvalidFields(wrong...)
		}
		env.Countries, err = s.deps.Countries()
		return env, err
	}
	return env, nil
}

// Check looks for rules that do not do what they seem to: of the stored policy, of
// another one, or of what a change would make of it.
func (s *Service) Check(ctx context.Context, req *ngfwv1.CheckRequest) (*ngfwv1.CheckResponse, error) {
	done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	id, p, err := s.checked(ctx, req)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(ctx, id, p)
	if err != nil {
		return nil, err
	}
	found, err := policy.Check(p, env)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.CheckResponse{}
	for _, f := range found {
		m := &ngfwv1.Finding{}
		if err := resource.ToMessage(f, m); err != nil {
			return nil, err
		}
		out.Findings = append(out.Findings, m)
	}
	return out, nil
}

func (s *Service) checked(ctx context.Context, req *ngfwv1.CheckRequest) (id string, p policy.Policy, err error) {
	if req.GetPolicy() == nil && req.GetChange() == nil {
		return s.read(ctx, req.GetDeviceId())
	}
	id, _, p, err = s.compared(ctx, req.GetDeviceId(), req)
	return id, p, err
}

// Diff tells which packets another policy, or a change of the stored one, would
// decide otherwise.
func (s *Service) Diff(ctx context.Context, req *ngfwv1.DiffRequest) (*ngfwv1.DiffResponse, error) {
	done, err := s.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	id, stored, other, err := s.compared(ctx, req.GetDeviceId(), req)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(ctx, id, stored, other)
	if err != nil {
		return nil, err
	}
	changes, err := policy.Diff(stored, other, env)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.DiffResponse{}
	for _, c := range changes {
		m := &ngfwv1.ActionChange{}
		if err := resource.ToMessage(c, m); err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, m)
	}
	return out, nil
}

// proposal is another policy, whole or as a change of the stored one.
type proposal interface {
	GetPolicy() *structpb.Struct
	GetChange() *ngfwv1.PolicyChange
}

// compared resolves the device and reads its stored policy and the proposed one.
func (s *Service) compared(ctx context.Context, deviceID string, p proposal) (id string, stored, other policy.Policy, err error) {
	id, stored, err = s.read(ctx, deviceID)
	if err != nil {
		return
	}
	switch {
	case (p.GetPolicy() == nil) == (p.GetChange() == nil):
		err = fault.New(fault.BadRequest, "say either policy or change")
	case p.GetPolicy() != nil:
		other, err = decodePolicy(p.GetPolicy())
		err = below("policy", err)
	default:
		stored, other, err = s.changed(ctx, id, p.GetChange())
		err = below("change", err)
	}
	return
}

// decodePolicy reads a whole policy that could be stored.
func decodePolicy(s *structpb.Struct) (policy.Policy, error) {
	text, err := protojson.Marshal(s)
	if err != nil {
		return policy.Policy{}, err
	}
	p, err := policy.Decode(text)
	if err == nil {
		err = check(p)
	}
	return p, err
}

// below puts the field paths of a fault below a member of the request.
func below(member string, err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	out := *f
	out.Fields = nil
	for _, field := range f.Fields {
		if strings.HasPrefix(field.Path, "[") || field.Path == "" {
			field.Path = member + field.Path
		} else {
			field.Path = member + "." + field.Path
		}
		out.Fields = append(out.Fields, field)
	}
	return &out
}
