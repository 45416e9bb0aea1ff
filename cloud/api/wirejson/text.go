package wirejson

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// ParseText reads the text of a path or query parameter as a value of fd's
// kind; problem says in words what is wrong with it, "" for nothing.
func ParseText(fd protoreflect.FieldDescriptor, text string) (v protoreflect.Value, problem string) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return v, "must be UTF-8 text without U+0000"
	}
	switch fd.Kind() {
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return v, quote(text) + " is neither true nor false"
		}
		return protoreflect.ValueOfBool(b), ""
	case protoreflect.EnumKind:
		e := fd.Enum().Values().ByName(protoreflect.Name(text))
		if e == nil {
			return v, quote(text) + " is none of " + enumNames(fd.Enum())
		}
		return protoreflect.ValueOfEnum(e.Number()), ""
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text), ""
	}
	if v, ok := parseScalar(fd, text); ok {
		return v, ""
	}
	if _, ok := number(text, 64); !ok {
		return v, quote(text) + " is not a number"
	}
	return v, numberProblem(fd, text)
}

// CheckText is ParseText for the problem alone.
func CheckText(fd protoreflect.FieldDescriptor, text string) string {
	_, problem := ParseText(fd, text)
	return problem
}
