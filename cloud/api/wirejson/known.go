package wirejson

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// The well-known types that are JSON themselves. google.protobuf.Empty needs no
// care: it is an object without members.
const (
	structName protoreflect.FullName = "google.protobuf.Struct"
	valueName  protoreflect.FullName = "google.protobuf.Value"
	listName   protoreflect.FullName = "google.protobuf.ListValue"
)

func appendKnown(b []byte, m protoreflect.Message) []byte {
	switch v := m.Interface().(type) {
	case *structpb.Struct:
		return appendAny(b, structpb.NewStructValue(v))
	case *structpb.ListValue:
		return appendAny(b, structpb.NewListValue(v))
	case *structpb.Value:
		return appendAny(b, v)
	}
	return append(b, "null"...)
}

func appendAny(b []byte, v *structpb.Value) []byte {
	switch k := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		if k.BoolValue {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case *structpb.Value_NumberValue:
		return appendFloat(b, k.NumberValue, 64)
	case *structpb.Value_StringValue:
		return appendText(b, k.StringValue)
	case *structpb.Value_ListValue:
		return appendList(b, listValues, k.ListValue.ProtoReflect().Get(listValues).List())
	case *structpb.Value_StructValue:
		return appendMap(b, structFields, k.StructValue.ProtoReflect().Get(structFields).Map())
	}
	return append(b, "null"...)
}

var (
	listValues   = (*structpb.ListValue)(nil).ProtoReflect().Descriptor().Fields().ByName("values")
	structFields = (*structpb.Struct)(nil).ProtoReflect().Descriptor().Fields().ByName("fields")
)

// known fills a Struct, Value or ListValue; false if m is none of them.
func (d *decoder) known(m protoreflect.Message, at *path) (bool, error) {
	switch m.Descriptor().FullName() {
	case structName:
		if d.s.next() != '{' {
			return true, d.wrong(at, "an object")
		}
	case listName:
		if d.s.next() != '[' {
			return true, d.wrong(at, "an array")
		}
	case valueName:
	default:
		return false, nil
	}
	v, err := d.any(at)
	if err != nil {
		return true, err
	}
	switch m.Descriptor().FullName() {
	case structName:
		proto.Merge(m.Interface(), v.GetStructValue())
	case listName:
		proto.Merge(m.Interface(), v.GetListValue())
	case valueName:
		proto.Merge(m.Interface(), v)
	}
	return true, nil
}

func (d *decoder) any(at *path) (*structpb.Value, error) {
	switch c := d.s.next(); c {
	case '{':
		out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		err := d.s.members(func(name string) error {
			here := at.member(name)
			if _, twice := out.Fields[name]; twice {
				return d.reject(here, "given twice")
			}
			v, err := d.any(here)
			out.Fields[name] = v
			return err
		})
		return structpb.NewStructValue(out), err
	case '[':
		out := &structpb.ListValue{}
		err := d.s.elements(func(i int) error {
			v, err := d.any(at.element(i))
			out.Values = append(out.Values, v)
			return err
		})
		return structpb.NewListValue(out), err
	case '"':
		s, err := d.s.text()
		return structpb.NewStringValue(s), err
	case 't', 'f', 'n':
		w, err := d.s.word()
		if w == "null" {
			return structpb.NewNullValue(), err
		}
		return structpb.NewBoolValue(w == "true"), err
	}
	n, err := d.s.number()
	if err != nil {
		return nil, err
	}
	f, ok := number(n, 64)
	if !ok {
		d.problem(at, "%s is out of range", n)
	}
	return structpb.NewNumberValue(f), nil
}
