package api

import (
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

var scopes = map[ngfwv1.Permission]identity.Scope{
	ngfwv1.Permission_PERMISSION_READ:  identity.Read,
	ngfwv1.Permission_PERMISSION_WRITE: identity.Write,
	ngfwv1.Permission_PERMISSION_ADMIN: identity.Admin,
}

// plans in their order; an unknown one counts as the first.
var plans = []string{"starter", "pro", "business", "business_plus"}

// featurePlan is the least plan of each feature (the specification's plan
// table).
var featurePlan = map[ngfwv1.Feature]struct{ plan, name string }{
	ngfwv1.Feature_FEATURE_TRAFFIC_STREAM: {"pro", "Traffic streaming"},
	ngfwv1.Feature_FEATURE_FLEET:          {"business", "Fleet management"},
	ngfwv1.Feature_FEATURE_IDS:            {"pro", "IDS/IPS"},
	ngfwv1.Feature_FEATURE_QOS:            {"pro", "QoS"},
}

// apiPlan is the least plan whose API tokens may be used; a session of the
// dashboard always may.
const apiPlan = "business"

// authorise holds the caller's scopes and plan against the operation.
func authorise(call *call) error {
	if call.public() {
		return nil
	}
	if call.caller.TokenID != "" && !covers(call.caller.Plan, apiPlan) {
		return planLimit("API access", apiPlan)
	}
	scope, ok := scopes[call.op.Permission]
	if !ok {
		return fault.New(fault.Forbidden, "this operation has no permission that a token could hold")
	}
	if !call.caller.Allows(scope) {
		return fault.New(fault.Forbidden, "this needs a token with the scope %q", scope)
	}
	if call.op.Feature == ngfwv1.Feature_FEATURE_UNSPECIFIED {
		return nil
	}
	need, ok := featurePlan[call.op.Feature]
	if !ok {
		return fault.New(fault.PlanLimit, "this feature is part of no plan")
	}
	if !covers(call.caller.Plan, need.plan) {
		return planLimit(need.name, need.plan)
	}
	return nil
}

func planLimit(feature, plan string) error {
	f := fault.New(fault.PlanLimit, "%s is part of the plan %s and above", feature, plan)
	f.Details = limitInfo(0, 0, nil)
	f.Details["required_plan"] = plan
	return f
}

func covers(have, need string) bool { return planRank(have) >= planRank(need) }

func planRank(plan string) int {
	for i, p := range plans {
		if p == plan {
			return i
		}
	}
	return 0
}
