package wirejson_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A megabyte of empty objects took hundreds.
func TestDecodeBoundsHowMuchIsNested(t *testing.T) {
	many := func(n int) []byte { return []byte(`{"rules":[` + strings.Repeat("{},", n-1) + "{}]}") }
	if err := (wirejson.Options{}).Decode(many(wirejson.MaxNested-2), &structpb.Struct{}); err != nil {
		t.Error(err)
	}
	if err := (wirejson.Options{}).Decode(many(wirejson.MaxNested-1), &structpb.Struct{}); !fault.Is(err, fault.BadRequest) {
		t.Errorf("a Struct: %v", err)
	}
	if err := (wirejson.Options{}).Decode([]byte(`{"policies":`+string(many(1 << 18)[9:])), &ngfwv1.UpdatePoliciesRequest{}); !fault.Is(err, fault.BadRequest) {
		t.Errorf("a message: %v", err)
	}
}
