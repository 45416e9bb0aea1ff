package account

import (
	"context"
	"errors"
	"slices"

	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// plans are the ids, the smallest first.
var plans = []string{"starter", "pro", "business", "business_plus"}

// PlanOf reads a plan as a claim or a row names it: the older names free, home
// and homeplus, a missing and an unknown one mean starter.
func PlanOf(name string) string {
	if slices.Contains(plans, name) {
		return name
	}
	return plans[0]
}

// hasAPI says whether the plan includes access by API tokens. A log-in may
// always use the API.
func hasAPI(plan string) bool { return plan == "business" || plan == "business_plus" }

// SetPlan changes the plan of the organisation with this id or name.
func (s *Service) SetPlan(ctx context.Context, org, plan string) (store.Organization, error) {
	if !slices.Contains(plans, plan) {
		return store.Organization{}, fault.Invalid("plan", "must be starter, pro, business or business_plus, not %q", plan)
	}
	o, err := s.organization(ctx, org)
	if err != nil {
		return store.Organization{}, err
	}
	if err := s.store.SetPlan(ctx, o.ID, plan); err != nil {
		return store.Organization{}, err
	}
	o.Plan = plan
	return o, nil
}

// organization finds one by id or, if only one has it, by name.
func (s *Service) organization(ctx context.Context, key string) (store.Organization, error) {
	all, err := s.store.Organizations(ctx)
	if err != nil {
		return store.Organization{}, err
	}
	var found []store.Organization
	for _, o := range all {
		if o.ID == key {
			return o, nil
		}
		if o.Name == key {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return store.Organization{}, fault.New(fault.NotFound, "no organization %q", key).Because(errNoOrganization)
	case 1:
		return found[0], nil
	}
	return store.Organization{}, fault.New(fault.Conflict, "%d organizations are named %q: use the id", len(found), key)
}

var errNoOrganization = errors.New("no such organization")
