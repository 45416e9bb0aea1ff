package openapi

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/wirejson"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// form tells what is read from what is written: an answer always shows a scalar
// without presence, a write may leave everything out and must not invent fields.
type form bool

const (
	read  form = false
	write form = true
)

// name is the component of a message: Device, DeviceStatus.ConfigState, and
// DeviceWrite for what a client sends.
func name(m protoreflect.MessageDescriptor, f form) string {
	n := strings.TrimPrefix(string(m.FullName()), string(m.ParentFile().Package())+".")
	if f == write && !strings.HasSuffix(n, "Request") {
		n += "Write"
	}
	return n
}

// message refers to the component of m, and makes it when it is new.
func (b *builder) message(m protoreflect.MessageDescriptor, f form) object {
	switch m.FullName() {
	case "google.protobuf.Struct":
		return object{"type": "object", "additionalProperties": true}
	case "google.protobuf.Value":
		return object{"description": "Any JSON value."}
	case "google.protobuf.ListValue":
		return object{"type": "array", "items": object{}}
	case "google.protobuf.Empty":
		return object{"type": "object", "additionalProperties": false}
	}
	n := name(m, f)
	if _, known := b.schemas[n]; !known {
		b.schemas[n] = nil // taken: a message may hold itself
		b.schemas[n] = b.properties(m, f, func(protoreflect.FieldDescriptor) bool { return false })
	}
	return ref("schemas", n)
}

// writeForm is the body "*" of a request without its hidden fields.
func (b *builder) writeForm(m protoreflect.MessageDescriptor, hidden func(protoreflect.FieldDescriptor) bool) object {
	b.schemas[name(m, write)] = b.properties(m, write, hidden)
	return ref("schemas", name(m, write))
}

func (b *builder) properties(m protoreflect.MessageDescriptor, f form, hidden func(protoreflect.FieldDescriptor) bool) object {
	properties, required := object{}, []any{}
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		if hidden(fd) {
			continue
		}
		properties[string(fd.Name())] = b.field(fd, f, true)
		if f == read && (!fd.HasPresence() || wirejson.NullWhenUnset(fd)) {
			required = append(required, string(fd.Name()))
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	if f == write {
		out["additionalProperties"] = false
	}
	if text := ngfwv1.Comments[string(m.FullName())]; text != "" {
		out["description"] = text
	}
	return out
}

// field is the schema of a field's value; described adds what belongs to a
// property and not to a parameter.
func (b *builder) field(fd protoreflect.FieldDescriptor, f form, described bool) object {
	var out object
	switch {
	case fd.IsMap():
		out = object{"type": "object", "additionalProperties": b.single(fd.MapValue(), f)}
	case fd.IsList():
		out = object{"type": "array", "items": b.single(fd, f)}
	default:
		out = b.single(fd, f)
	}
	if !described {
		return out
	}
	extra := object{}
	if text := ngfwv1.Comments[string(fd.FullName())]; text != "" {
		extra["description"] = text
	}
	if wirejson.ReadOnly(fd) {
		extra["readOnly"] = true
	}
	if f == read && wirejson.NullWhenUnset(fd) || f == write && fd.HasPresence() {
		extra["nullable"] = true
	}
	if len(extra) == 0 {
		return out
	}
	if _, isRef := out["$ref"]; isRef { // 3.0 ignores what stands beside a $ref
		extra["allOf"] = []any{out}
		return extra
	}
	for k, v := range extra {
		out[k] = v
	}
	return out
}

func (b *builder) single(fd protoreflect.FieldDescriptor, f form) object {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return b.message(fd.Message(), f)
	case protoreflect.StringKind:
		return object{"type": "string"}
	case protoreflect.BytesKind:
		return object{"type": "string", "format": "byte"}
	case protoreflect.BoolKind:
		return object{"type": "boolean"}
	case protoreflect.DoubleKind:
		return object{"type": "number", "format": "double"}
	case protoreflect.FloatKind:
		return object{"type": "number", "format": "float"}
	case protoreflect.EnumKind:
		values := []any{}
		for i := range fd.Enum().Values().Len() {
			values = append(values, string(fd.Enum().Values().Get(i).Name()))
		}
		return object{"type": "string", "enum": values}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return object{"type": "integer", "format": "int32"}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return object{"type": "integer", "format": "int64", "minimum": 0}
	}
	return object{"type": "integer", "format": "int64"}
}
