package firewall

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const kindZone = "zone"

func zoneMembers(s *resource.Section[policy.Policy]) resource.Members[policy.Policy, policy.Zone] {
	return resource.Members[policy.Policy, policy.Zone]{
		Section: s, Kind: kindZone, Field: "zones",
		List:        func(p *policy.Policy) *[]policy.Zone { return &p.Zones },
		ID:          func(z *policy.Zone) *int64 { return &z.ID },
		Label:       func(z policy.Zone) string { return z.Name },
		GuardUpdate: changedZone,
		GuardCreate: newZone,
		GuardDelete: unusedZone,
	}
}

// newZone judges what policy.Validate would blame on another zone, or take for
// the SELF that may stand in the list.
func newZone(p *policy.Policy, add policy.Zone) error {
	if slices.ContainsFunc(p.Zones, func(z policy.Zone) bool { return z.Name == add.Name }) {
		return taken("name", "zone %s exists already: choose another name", add.Name)
	}
	return freeInterfaces(p, add)
}

func changedZone(p *policy.Policy, old policy.Zone, with *policy.Zone) error {
	if with.Name != old.Name {
		return fault.Invalid("name", "a zone is not renamed, rules name it: make zone %s and move the interfaces there", with.Name)
	}
	return freeInterfaces(p, *with)
}

func freeInterfaces(p *policy.Policy, z policy.Zone) error {
	for _, other := range p.Zones {
		if other.Name == z.Name {
			continue
		}
		for i, name := range z.Interfaces {
			if slices.Contains(other.Interfaces, name) {
				return taken(fmt.Sprintf("interfaces[%d]", i),
					"%s is in zone %s already: an interface is in one zone, remove it there first", name, other.Name)
			}
		}
	}
	return nil
}

func taken(path, format string, args ...any) error {
	f := fault.Invalid(path, format, args...)
	f.Code = fault.Conflict
	return f
}

func unusedZone(p *policy.Policy, z policy.Zone) error {
	if z.Name == policy.ZoneSelf {
		return fault.New(fault.Conflict, "zone SELF is the router itself and is not removed: rules and policies to SELF say who may reach it")
	}
	if isFactoryZone(z.Name) {
		return fault.New(fault.Conflict, "zone %s is one of every router's and is not removed: take its interfaces out instead", z.Name)
	}
	var users []string
	for _, r := range p.Rules {
		if r.ZoneFrom == z.Name || r.ZoneTo == z.Name {
			users = append(users, fmt.Sprintf("rule %d", r.ID))
		}
	}
	for _, d := range p.Policies {
		if d.From == z.Name || d.To == z.Name {
			users = append(users, fmt.Sprintf("policy %s to %s", d.From, d.To))
		}
	}
	if len(users) > 0 {
		return fault.New(fault.Conflict, "zone %s is named by %s: change or remove that first", z.Name, shortList(users, 5))
	}
	return nil
}

func shortList(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

// ListZones lists the zones.
func (s *Service) ListZones(ctx context.Context, req *ngfwv1.ListZonesRequest) (*ngfwv1.ListZonesResponse, error) {
	_, p, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, p.Zones)
	out := &ngfwv1.ListZonesResponse{}
	for _, z := range p.Zones {
		m := &ngfwv1.Zone{}
		if err := resource.ToMessage(z, m); err != nil {
			return nil, err
		}
		out.Zones = append(out.Zones, m)
	}
	return out, nil
}

// CreateZone adds a custom zone.
func (s *Service) CreateZone(ctx context.Context, req *ngfwv1.CreateZoneRequest) (*ngfwv1.Zone, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	zone, err := decodeZone(req.GetZone())
	if err != nil {
		return nil, err
	}
	zone, version, err := s.zones.Create(ctx, id, zone, 0)
	return answerZone(ctx, zone, version, err)
}

// UpdateZone replaces a zone's interfaces and options. The name may be left
// out; it does not change.
func (s *Service) UpdateZone(ctx context.Context, req *ngfwv1.UpdateZoneRequest) (*ngfwv1.Zone, error) {
	id, p, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	m := req.GetZone()
	if m.GetName() == "" {
		i := slices.IndexFunc(p.Zones, func(z policy.Zone) bool { return z.ID == req.GetId() })
		if i < 0 {
			return nil, fault.New(fault.NotFound, "no zone %d", req.GetId())
		}
		if m = proto.CloneOf(m); m == nil {
			m = &ngfwv1.Zone{}
		}
		m.Name = p.Zones[i].Name
	}
	zone, err := decodeZone(m)
	if err != nil {
		return nil, err
	}
	zone, version, err := s.zones.Update(ctx, id, req.GetId(), zone)
	return answerZone(ctx, zone, version, err)
}

// DeleteZone removes a custom zone that nothing names.
func (s *Service) DeleteZone(ctx context.Context, req *ngfwv1.DeleteZoneRequest) (*emptypb.Empty, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	version, err := s.zones.Delete(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

func decodeZone(m *ngfwv1.Zone) (policy.Zone, error) {
	if m == nil {
		m = &ngfwv1.Zone{}
	}
	return resource.FromMessage(m, policy.DecodeZone)
}

func answerZone(ctx context.Context, z policy.Zone, version int64, err error) (*ngfwv1.Zone, error) {
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, z)
	m := &ngfwv1.Zone{}
	return m, resource.ToMessage(z, m)
}
