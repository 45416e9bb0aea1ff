package firewall

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const kindGroup = "group"

func groupMembers(s *resource.Section[policy.Policy]) resource.Members[policy.Policy, policy.Group] {
	return resource.Members[policy.Policy, policy.Group]{
		Section: s, Kind: kindGroup, Field: "groups",
		List:        func(p *policy.Policy) *[]policy.Group { return &p.Groups },
		ID:          func(g *policy.Group) *int64 { return &g.ID },
		Label:       func(g policy.Group) string { return g.Name },
		GuardCreate: newGroup,
		GuardUpdate: changedGroup,
		GuardDelete: unusedGroup,
	}
}

func newGroup(p *policy.Policy, add policy.Group) error {
	if slices.ContainsFunc(p.Groups, func(g policy.Group) bool { return g.Name == add.Name }) {
		return taken("name", "group %s exists already: choose another name", add.Name)
	}
	return nil
}

// changedGroup keeps what others rely on: the name, and what kind of group it is.
func changedGroup(p *policy.Policy, old policy.Group, with *policy.Group) error {
	users := groupUsers(p, old.Name)
	switch {
	case with.Name != old.Name && users != "":
		return taken("name", "group %s is named by %s: change that first, or keep the name", old.Name, users)
	case with.Type != old.Type && users != "":
		return taken("type", "group %s is named by %s as one of type %s: change that first, or make another group", old.Name, users, old.Type)
	case with.Name != old.Name:
		return newGroup(p, *with)
	}
	return nil
}

func unusedGroup(p *policy.Policy, g policy.Group) error {
	if users := groupUsers(p, g.Name); users != "" {
		return fault.New(fault.Conflict, "group %s is named by %s: change or remove that first", g.Name, users)
	}
	return nil
}

// groupUsers says what names a group; "" is nothing.
func groupUsers(p *policy.Policy, name string) string {
	rules, nat, groups := p.Users(name)
	var words []string
	for _, id := range rules {
		words = append(words, fmt.Sprintf("rule %d", id))
	}
	for _, id := range nat {
		words = append(words, fmt.Sprintf("NAT rule %d", id))
	}
	for _, g := range groups {
		if g != name { // a group that names itself is refused for that
			words = append(words, "group "+g)
		}
	}
	return shortList(words, 5)
}

// ListGroups lists the groups.
func (s *Service) ListGroups(ctx context.Context, req *ngfwv1.ListGroupsRequest) (*ngfwv1.ListGroupsResponse, error) {
	_, p, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, p.Groups)
	out := &ngfwv1.ListGroupsResponse{}
	for _, g := range p.Groups {
		m := &ngfwv1.Group{}
		if err := resource.ToMessage(g, m); err != nil {
			return nil, err
		}
		out.Groups = append(out.Groups, m)
	}
	return out, nil
}

// CreateGroup adds a group.
func (s *Service) CreateGroup(ctx context.Context, req *ngfwv1.CreateGroupRequest) (*ngfwv1.Group, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	group, err := decodeGroup(req.GetGroup())
	if err != nil {
		return nil, err
	}
	group, version, err := s.groups.Create(ctx, id, group, 0)
	return answerGroup(ctx, group, version, err)
}

// UpdateGroup replaces a group. While something names it, its name and type stay.
func (s *Service) UpdateGroup(ctx context.Context, req *ngfwv1.UpdateGroupRequest) (*ngfwv1.Group, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	group, err := decodeGroup(req.GetGroup())
	if err != nil {
		return nil, err
	}
	group, version, err := s.groups.Update(ctx, id, req.GetId(), group)
	return answerGroup(ctx, group, version, err)
}

// DeleteGroup removes a group that nothing names.
func (s *Service) DeleteGroup(ctx context.Context, req *ngfwv1.DeleteGroupRequest) (*emptypb.Empty, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	version, err := s.groups.Delete(ctx, id, req.GetId())
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

// decodeGroup reads a group. A message cannot tell an empty list of members from
// none, so none is empty.
func decodeGroup(m *ngfwv1.Group) (policy.Group, error) {
	g := policy.Group{Name: m.GetName(), Type: m.GetType(), Members: slices.Clone(m.GetMembers())}
	if g.Members == nil {
		g.Members = []string{}
	}
	var missing []fault.Field
	if g.Name == "" {
		missing = append(missing, fault.Field{Path: "name", Message: "is required"})
	}
	if g.Type == "" {
		missing = append(missing, fault.Field{Path: "type", Message: "is required"})
	}
	if len(missing) > 0 {
		return g, fault.InvalidFields(missing...)
	}
	return g, nil
}

func answerGroup(ctx context.Context, g policy.Group, version int64, err error) (*ngfwv1.Group, error) {
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, g)
	m := &ngfwv1.Group{}
	return m, resource.ToMessage(g, m)
}
