package devicelink

import (
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Nobody knows yet who sends the first message: it is small or not read.
func TestOpeningIsSmall(t *testing.T) {
	read := func(m *ngfwv1.AgentMessage) (*opening, error) {
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		first := &opening{&ngfwv1.AgentMessage{}}
		return first, Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, first)
	}
	auth := func(key string) *ngfwv1.AgentMessage {
		return &ngfwv1.AgentMessage{Id: "1", Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{ApiKey: key, Applied: map[string]int64{"firewall": 7}}}}
	}
	if first, err := read(auth("key")); err != nil || !proto.Equal(first.AgentMessage, auth("key")) {
		t.Errorf("%v: %v", err, first)
	}
	if _, err := read(auth(strings.Repeat("k", maxOpening))); err == nil {
		t.Error("a large one is read")
	}
	// Of the API, too.
	dense := mem.BufferSlice{mem.SliceBuffer(strings.Repeat("\x12\x00", 100_000))}
	if err := Codec().Unmarshal(dense, &ngfwv1.UpdatePoliciesRequest{}); err == nil {
		t.Error("a dense request is read")
	}
}
