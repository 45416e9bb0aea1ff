package optional_test

import (
	"testing"

	"ngfw.sh/internal/optional"
)

func TestOf(t *testing.T) {
	if optional.Of("") != nil || optional.Of(int64(0)) != nil {
		t.Error("a zero value is there")
	}
	if p := optional.Of("x"); p == nil || *p != "x" {
		t.Errorf("%v", p)
	}
}
