package etag_test

import (
	"context"
	"testing"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestCheck(t *testing.T) {
	resource, list := etag.Of("a"), etag.Of([]string{"a", "b"})
	tag := etag.Tag(resource, []byte("shown"))
	for header, matches := range map[string]bool{
		"":                            true,
		"*":                           true,
		tag:                           true,
		`"` + resource + `"`:          true,
		etag.Tag(resource, []byte{1}): true, // shown otherwise, stored alike
		etag.Tag(list, nil):           true,
		`"x", ` + tag:                 true,
		"W/" + tag:                    false,
		`"x"`:                         false,
		`""`:                          false,
		",":                           false,
		etag.Tag("", []byte("shown")): false,
		etag.Tag(etag.Of("b"), nil):   false,
	} {
		err := etag.Check(etag.With(context.Background(), header), resource, list)
		if (err == nil) != matches || err != nil && !fault.Is(err, fault.PreconditionFailed) {
			t.Errorf("%q: %v", header, err)
		}
	}
	if etag.Check(etag.With(context.Background(), "*")) == nil {
		t.Error("a write that does not know what it is about goes on")
	}
}

func TestOf(t *testing.T) {
	if etag.Of(&ngfwv1.Zone{Name: "a"}) == etag.Of(&ngfwv1.Zone{Name: "b"}) || etag.Of(1) != etag.Of(1) {
		t.Error("states do not tell resources apart")
	}
}
