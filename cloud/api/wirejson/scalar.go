package wirejson

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// scalar reads one value; an invalid one with a nil error has been noted.
func (d *decoder) scalar(fd protoreflect.FieldDescriptor, at *path) (protoreflect.Value, error) {
	none, c := protoreflect.Value{}, d.s.next()
	switch fd.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.EnumKind:
		if c != '"' {
			return none, d.wrong(at, "a string")
		}
		s, err := d.s.text()
		if err != nil {
			return none, err
		}
		return d.fromText(fd, at, s), nil
	case protoreflect.BoolKind:
		if c != 't' && c != 'f' {
			return none, d.wrong(at, "true or false")
		}
		w, err := d.s.word()
		return protoreflect.ValueOfBool(w == "true"), err
	}
	wanted := "an integer"
	if fd.Kind() == protoreflect.DoubleKind || fd.Kind() == protoreflect.FloatKind {
		wanted = "a number"
	}
	if c != '-' && (c < '0' || c > '9') {
		return none, d.wrong(at, wanted)
	}
	text, err := d.s.number()
	if err != nil {
		return none, err
	}
	v, ok := parseScalar(fd, text)
	if !ok {
		d.problem(at, "%s", numberProblem(fd, text))
		return none, nil
	}
	return v, nil
}

func (d *decoder) fromText(fd protoreflect.FieldDescriptor, at *path, s string) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BytesKind:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			d.problem(at, "must be base64")
			return protoreflect.Value{}
		}
		return protoreflect.ValueOfBytes(b)
	case protoreflect.EnumKind:
		e := fd.Enum().Values().ByName(protoreflect.Name(s))
		if e == nil {
			d.problem(at, "%s is none of %s", quote(s), enumNames(fd.Enum()))
			return protoreflect.Value{}
		}
		return protoreflect.ValueOfEnum(e.Number())
	}
	return protoreflect.ValueOfString(s)
}

func enumNames(e protoreflect.EnumDescriptor) string {
	names := make([]string, e.Values().Len())
	for i := range names {
		names[i] = string(e.Values().Get(i).Name())
	}
	return strings.Join(names, ", ")
}

// parseScalar reads a number or string of fd's kind out of its text.
func parseScalar(fd protoreflect.FieldDescriptor, text string) (protoreflect.Value, bool) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), true
	case protoreflect.DoubleKind:
		f, ok := number(text, 64)
		return protoreflect.ValueOfFloat64(f), ok
	case protoreflect.FloatKind:
		f, ok := number(text, 32)
		return protoreflect.ValueOfFloat32(float32(f)), ok
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		i, err := strconv.ParseInt(integral(text), 10, 32)
		return protoreflect.ValueOfInt32(int32(i)), err == nil
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		i, err := strconv.ParseInt(integral(text), 10, 64)
		return protoreflect.ValueOfInt64(i), err == nil
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		u, err := strconv.ParseUint(integral(text), 10, 32)
		return protoreflect.ValueOfUint32(uint32(u)), err == nil
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		u, err := strconv.ParseUint(integral(text), 10, 64)
		return protoreflect.ValueOfUint64(u), err == nil
	}
	return protoreflect.Value{}, false
}

func number(text string, bits int) (float64, bool) {
	f, err := strconv.ParseFloat(text, bits)
	return f, err == nil && !math.IsInf(f, 0)
}

// integral rewrites 1e3 and 2.0, which JSON does not tell from 1000 and 2.
func integral(text string) string {
	if text == "-0" {
		return "0"
	}
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return text
	}
	return strconv.FormatInt(int64(f), 10)
}

func numberProblem(fd protoreflect.FieldDescriptor, text string) string {
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	switch fd.Kind() {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if strings.HasPrefix(text, "-") {
			return text + " is out of range: it must not be negative"
		}
	}
	if f, ok := number(text, 64); ok && f != math.Trunc(f) {
		return text + " is not an integer"
	}
	return text + " is out of range"
}

func mapKey(fd protoreflect.FieldDescriptor, name string) (protoreflect.MapKey, bool) {
	if fd.Kind() == protoreflect.BoolKind {
		return protoreflect.ValueOfBool(name == "true").MapKey(), name == "true" || name == "false"
	}
	v, ok := parseScalar(fd, name)
	if !ok {
		return protoreflect.MapKey{}, false
	}
	return v.MapKey(), true
}
