package wirejson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"ngfw.sh/cloud/api/wirejson"
)

// Decoding what was written gives the same message, for every message type of
// the API, and what was written is JSON.
func TestRoundTrip(t *testing.T) {
	types := 0
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		if !strings.HasPrefix(string(mt.Descriptor().FullName()), "ngfw.v1.") || mt.Descriptor().IsMapEntry() {
			return true
		}
		types++
		t.Run(string(mt.Descriptor().Name()), rapid.MakeCheck(func(t *rapid.T) {
			m := random(t, mt, 0)
			text := wirejson.Append(nil, m.Interface())
			if !json.Valid(text) {
				t.Fatalf("not JSON: %s", text)
			}
			again := mt.New()
			if err := (wirejson.Options{KeepReadOnly: true}).Decode(text, again.Interface()); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if !proto.Equal(m.Interface(), again.Interface()) {
				t.Fatalf("%v became %v by %s", m, again, text)
			}
		}))
		return true
	})
	if types < 60 {
		t.Errorf("only %d message types", types)
	}
}

func random(t *rapid.T, mt protoreflect.MessageType, depth int) protoreflect.Message {
	m := mt.New()
	if v, ok := m.Interface().(*structpb.Value); ok {
		// One without a kind is no value, and JSON cannot say it.
		any := rapid.SampledFrom([]any{nil, true, 1.5, "text", []any{"a", 2.0}, map[string]any{"k": "v"}}).Draw(t, "value")
		made, err := structpb.NewValue(any)
		if err != nil {
			t.Fatal(err)
		}
		proto.Merge(v, made)
		return m
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		deep := fd.Message() != nil && !fd.IsMap() && depth > 2
		if deep || rapid.IntRange(0, 3).Draw(t, "set") == 0 {
			continue
		}
		if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() && m.WhichOneof(one) != nil {
			continue
		}
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil && depth > 2 {
				continue
			}
			for range rapid.IntRange(0, 3).Draw(t, "entries") {
				value := m.Mutable(fd).Map().NewValue()
				if fd.MapValue().Message() != nil {
					value = protoreflect.ValueOfMessage(random(t, value.Message().Type(), depth+1))
				} else {
					value = scalar(t, fd.MapValue())
				}
				m.Mutable(fd).Map().Set(scalar(t, fd.MapKey()).MapKey(), value)
			}
		case fd.IsList():
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				if fd.Message() != nil {
					l := m.Mutable(fd).List()
					l.Append(protoreflect.ValueOfMessage(random(t, l.NewElement().Message().Type(), depth+1)))
				} else {
					m.Mutable(fd).List().Append(scalar(t, fd))
				}
			}
		case fd.Message() != nil:
			m.Set(fd, protoreflect.ValueOfMessage(random(t, m.NewField(fd).Message().Type(), depth+1)))
		default:
			m.Set(fd, scalar(t, fd))
		}
	}
	return m
}

func scalar(t *rapid.T, fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\x00") }).Draw(t, "text"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool"))
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(rapid.IntRange(0, values.Len()-1).Draw(t, "enum")).Number())
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64().Draw(t, "double"))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.Float32().Draw(t, "float"))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "int32"))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "uint32"))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "uint64"))
	}
	return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int64"))
}
