package resource

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// FromMessage decodes a resource of the API into its model. The two share their
// JSON form, so the model's own strict decoder, with its defaults, is the only
// one there is. Read-only fields are left out: a write ignores them.
func FromMessage[T any](m proto.Message, decode func([]byte) (T, error)) (T, error) {
	b, err := encode(m)
	if err != nil {
		var zero T
		return zero, err
	}
	return decode(b)
}

// FromMessages is FromMessage for a bare list.
func FromMessages[M proto.Message, T any](list []M, decode func([]byte) (T, error)) (T, error) {
	all := make([]json.RawMessage, len(list))
	for i, m := range list {
		b, err := encode(m)
		if err != nil {
			var zero T
			return zero, err
		}
		all[i] = b
	}
	b, err := json.Marshal(all)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("encode list: %w", err)
	}
	return decode(b)
}

func encode(m proto.Message) ([]byte, error) {
	c := proto.Clone(m)
	clearReadOnly(c.ProtoReflect())
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", m, err)
	}
	return b, nil
}

// ToMessage shows a model as its message of the API. The message's read-only
// fields that are no part of the model are left to the caller.
func ToMessage(model any, m proto.Message) error {
	b, err := json.Marshal(model)
	if err != nil {
		return fmt.Errorf("encode %T: %w", model, err)
	}
	if err := protojson.Unmarshal(b, m); err != nil {
		return fmt.Errorf("show %T as %T: %w", model, m, err)
	}
	return nil
}

func clearReadOnly(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if ro, _ := proto.GetExtension(fd.Options(), ngfwv1.E_ReadOnly).(bool); ro {
			m.Clear(fd)
		} else if fd.Message() != nil && !fd.IsList() && !fd.IsMap() {
			clearReadOnly(v.Message())
		}
		return true
	})
}
