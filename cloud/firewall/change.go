package firewall

import (
	"context"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// edit is a change of the section, made or previewed.
type edit = *resource.Edit[policy.Policy]

// changed is the device's policy, and what it would be after a write.
func (s *Service) changed(ctx context.Context, deviceID string, c *ngfwv1.PolicyChange) (before, after policy.Policy, err error) {
	e, err := s.editOf(c)
	if err != nil {
		return before, after, err
	}
	before, after, err = s.section.Preview(ctx, deviceID, e)
	return before, after, below("body", err)
}

// editOf reads a change as the request that would make it. Field paths are the
// change's.
func (s *Service) editOf(c *ngfwv1.PolicyChange) (edit, error) {
	if c.GetOp() != "create" && c.GetOp() != "update" && c.GetOp() != "delete" && c.GetOp() != "reorder" {
		return nil, fault.Invalid("op", "%q is no operation: write create, update, delete or reorder", c.GetOp())
	}
	var e edit
	var err error
	switch c.GetResource() {
	case kindRule:
		e, err = orderedEdit(s.rules, c, policy.DecodeRule)
	case kindNAT:
		e, err = orderedEdit(s.nat, c, policy.DecodeNATRule)
	case kindZone:
		e, err = memberEdit(s.zones, c, policy.DecodeZone)
	case kindGroup:
		e, err = memberEdit(s.groups, c, policy.DecodeGroup)
	case "policy":
		e, err = policiesEdit(c)
	default:
		return nil, fault.Invalid("resource", "%q is no resource: write rule, policy, zone, group or nat", c.GetResource())
	}
	if err == nil && e == nil {
		err = fault.Invalid("op", "%s is not done to a %s", c.GetOp(), c.GetResource())
	}
	return e, err
}

// memberEdit is nil where the operation is none of the resource's.
func memberEdit[T any](m resource.Members[policy.Policy, T], c *ngfwv1.PolicyChange, decode func([]byte) (T, error)) (edit, error) {
	if c.GetOp() == "reorder" {
		return nil, nil
	}
	if err := checkID(c); err != nil {
		return nil, err
	}
	if c.GetOp() == "delete" {
		return m.Removal(c.GetId()), nil
	}
	member, err := decodeBody(c.GetBody(), decode)
	if err != nil {
		return nil, err
	}
	if c.GetOp() == "create" {
		return m.Creation(&member, 0), nil
	}
	return m.Replacement(c.GetId(), &member), nil
}

// checkID wants the id where one thing is meant that is there, and only there.
func checkID(c *ngfwv1.PolicyChange) error {
	switch needs := c.GetOp() == "update" || c.GetOp() == "delete"; {
	case needs && c.Id == nil:
		return fault.Invalid("id", "is required: which %s?", c.GetResource())
	case !needs && c.Id != nil:
		return fault.Invalid("id", "belongs to no %s: leave it out", c.GetOp())
	}
	return nil
}

// orderedEdit knows what rules have beside: a place and an order.
func orderedEdit[T any](m resource.Members[policy.Policy, T], c *ngfwv1.PolicyChange, decode func([]byte) (T, error)) (edit, error) {
	switch body := c.GetBody().GetStructValue(); {
	case c.GetOp() == "reorder":
		if err := checkID(c); err != nil {
			return nil, err
		}
		ids, err := decodeBody(c.GetBody(), decodeOrder)
		if err != nil {
			return nil, err
		}
		return m.Ordering("rule_ids", ids, new([]T)), nil
	case c.GetOp() == "create" && body.GetFields()["before"] != nil:
		if err := checkID(c); err != nil {
			return nil, err
		}
		before := body.GetFields()["before"].GetNumberValue()
		if before < 1 || before != float64(int64(before)) {
			return nil, fault.Invalid("body.before", "is not the id of a rule")
		}
		rest := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for name, v := range body.GetFields() {
			if name != "before" {
				rest.Fields[name] = v
			}
		}
		rule, err := decodeBody(structpb.NewStructValue(rest), decode)
		if err != nil {
			return nil, err
		}
		return m.Creation(&rule, int64(before)), nil
	}
	return memberEdit(m, c, decode)
}

func decodeOrder(text []byte) ([]int64, error) {
	var body struct {
		RuleIDs []int64 `json:"rule_ids"`
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, fault.New(fault.BadRequest, `the body must be like {"rule_ids":[3,1,2]}`).Because(err)
	}
	return body.RuleIDs, nil
}

// policiesEdit replaces the list of zone pairs' policies: the only write that
// they have.
func policiesEdit(c *ngfwv1.PolicyChange) (edit, error) {
	if c.GetOp() != "update" {
		return nil, nil
	}
	if c.Id != nil {
		return nil, fault.Invalid("id", "policies have none: the body is the whole list")
	}
	list, err := decodeBody(c.GetBody(), policy.DecodeDefaults)
	if err != nil {
		return nil, err
	}
	return replacePolicies(list), nil
}

// replacePolicies is the edit of UpdatePolicies.
func replacePolicies(list []policy.Default) edit {
	return resource.NewEdit("policies", func(d *resource.Draft[policy.Policy]) error {
		d.Current(d.Doc.Policies)
		d.Note("update", "policy", "", fmt.Sprintf("policies replaced (%d)", len(list)), d.Doc.Policies, list)
		d.Doc.Policies = list
		return nil
	})
}

// decodeBody reads the body of a change.
func decodeBody[T any](v *structpb.Value, decode func([]byte) (T, error)) (T, error) {
	var none T
	if v == nil {
		return none, fault.Invalid("body", "is required")
	}
	text, err := protojson.Marshal(v)
	if err != nil {
		return none, err
	}
	out, err := decode(text)
	return out, below("body", err)
}
