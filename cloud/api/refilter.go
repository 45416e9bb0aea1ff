package api

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
)

// hear answers a frame of the client: a new filter, repeated when it is in
// force, or what is wrong with it. The old feed goes on until the new one is
// accepted.
func (s *socket) hear(ctx context.Context, text []byte) bool {
	next, f := s.refilter(ctx, text)
	if f != nil {
		return s.write(ctx, "error", errorFrame(f))
	}
	s.feed.cancel()
	s.feed = next
	return s.write(ctx, "filter", text)
}

func (s *socket) refilter(ctx context.Context, text []byte) (*feed, *fault.Error) {
	var frame struct {
		Type   string          `json:"type"`
		Filter json.RawMessage `json:"filter"`
	}
	if text == nil || json.Unmarshal(text, &frame) != nil {
		return nil, fault.New(fault.BadRequest, `a frame is not a JSON text: send {"type":"filter","filter":{…}}`)
	}
	if frame.Type != "filter" {
		return nil, badParameter("type", `the type %q is unknown: send {"type":"filter","filter":{…}}`, clip(frame.Type))
	}
	if len(frame.Filter) == 0 {
		return nil, badParameter("filter", "filter is missing: send an object, {} for everything")
	}
	req, f := filterRequest(s.ex.binding, frame.Filter)
	if f != nil {
		return nil, f
	}
	next, _, err := s.subscribe(ctx, s.ex, req)
	if err != nil {
		return nil, within("filter", ending(err))
	}
	return next, nil
}

// within puts what is wrong into the member of the frame that it was found in.
func within(member string, f *fault.Error) *fault.Error {
	for i := range f.Fields {
		f.Fields[i].Path = member + "." + f.Fields[i].Path
	}
	return f
}

// filterRequest makes the message of a filter that came in the open socket.
func filterRequest(b *operation.Binding, filter json.RawMessage) (proto.Message, *fault.Error) {
	in, err := newMessage(b.Method.Input().FullName())
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error").Because(err)
	}
	m := in.ProtoReflect().Mutable(b.FilterField()).Message()
	hidden := func(fd protoreflect.FieldDescriptor) bool { return !operation.Live(fd) || fd.Name() == "cursor" }
	if err := (wirejson.Options{Hidden: hidden}).Decode(filter, m.Interface()); err != nil {
		f, _ := envelope.Classify(err)
		return nil, within("filter", f)
	}
	bundled(in.ProtoReflect())
	return in, nil
}
