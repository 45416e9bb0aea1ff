package resource

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestFromMessageLeavesOutWhatIsReadOnly(t *testing.T) {
	in := &ngfwv1.FirewallRule{
		Id: 5, Name: "x", Enabled: proto.Bool(false), Hits: 9, HitBytes: 9, LastHit: proto.Int64(9), Log: true,
		Schedule: &ngfwv1.Schedule{Days: []int32{0, 6}},
	}
	kept := proto.CloneOf(in)
	var got string
	_, err := FromMessage(in, func(b []byte) (int, error) {
		got = string(b)
		return 0, nil
	})
	// protojson puts spaces where it likes.
	squeezed := ""
	for _, c := range got {
		if c != ' ' {
			squeezed += string(c)
		}
	}
	if want := `{"name":"x","enabled":false,"schedule":{"days":[0,6]},"log":true}`; err != nil || squeezed != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if !proto.Equal(in, kept) {
		t.Error("the request was changed")
	}
}

func TestRelative(t *testing.T) {
	in := fault.InvalidFields(
		fault.Field{Path: "rules[3].source", Message: "a"},
		fault.Field{Path: "rules[33].source", Message: "b"},
		fault.Field{Path: "rules[3]", Message: "c"},
		fault.Field{Path: "rules[3].icmp_types[1]", Message: "d"},
	)
	f, _ := fault.As(Relative(in, "rules[3]"))
	var paths []string
	for _, field := range f.Fields {
		paths = append(paths, field.Path)
	}
	if diff := cmp.Diff([]string{"source", "rules[33].source", "icmp_types[1]"}, paths); diff != "" {
		t.Error(diff)
	}
	if in.Field() != "rules[3].source" {
		t.Error("the original was changed")
	}
	f, _ = fault.As(Relative(fault.Invalid("policies[2].to", "x"), "policies"))
	if f.Field() != "[2].to" {
		t.Error(f.Field())
	}
	plain := errors.New("disk")
	if Relative(plain, "rules") != plain || Relative(nil, "rules") != nil {
		t.Error("what is no fault was changed")
	}
}
