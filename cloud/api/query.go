package api

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
)

// parameter is one name=value of a query.
type parameter struct{ name, value string }

// parseQuery is strict where net/url is not: it names the parameter that is
// wrong.
func parseQuery(raw string) ([]parameter, *fault.Error) {
	var out []parameter
	for _, part := range strings.Split(raw, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
			return nil, badParameter(strings.ToValidUTF8(clip(rawName), "?"), "a query parameter's name is not well percent-encoded UTF-8 text")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return nil, badParameter(clip(name), "the value of %s is not well percent-encoded UTF-8 text", clip(name))
		}
		out = append(out, parameter{name, value})
	}
	return out, nil
}

// takeDevice takes device_id out of the parameters into the inward's device.
func (in *inward) takeDevice(params []parameter) ([]parameter, *fault.Error) {
	var rest []parameter
	for _, p := range params {
		if p.name != "device_id" {
			rest = append(rest, p)
			continue
		}
		if in.Device != "" && p.value != in.Device {
			return nil, badParameter("device_id", "X-Device-ID and device_id name different routers")
		}
		in.Device = p.value
	}
	return rest, nil
}

// fillQuery sets the fields that the parameters name in m, which is the request
// or, of a stream, its filter. Lists may be repeated and comma-separated.
func fillQuery(m protoreflect.Message, b *operation.Binding, params []parameter) *fault.Error {
	fields := b.Query()
	seen := map[string]bool{}
	for _, p := range params {
		i := slices.IndexFunc(fields, func(fd protoreflect.FieldDescriptor) bool { return string(fd.Name()) == p.name })
		if i < 0 {
			return unknownParameter(b, fields, p.name)
		}
		fd := fields[i]
		if fd.IsList() {
			if f := fillList(m.Mutable(fd).List(), fd, p); f != nil {
				return f
			}
			continue
		}
		if seen[p.name] {
			return badParameter(p.name, "%s is given twice", p.name)
		}
		seen[p.name] = true
		v, problem := wirejson.ParseText(fd, p.value)
		if problem != "" {
			return badParameter(p.name, "%s: %s", p.name, problem)
		}
		m.Set(fd, v)
	}
	return nil
}

func fillList(l protoreflect.List, fd protoreflect.FieldDescriptor, p parameter) *fault.Error {
	for _, part := range strings.Split(p.value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		v, problem := wirejson.ParseText(fd, part)
		if problem != "" {
			return badParameter(p.name, "%s: %s", p.name, problem)
		}
		l.Append(v)
	}
	return nil
}

func unknownParameter(b *operation.Binding, fields []protoreflect.FieldDescriptor, name string) *fault.Error {
	var known []string
	for _, fd := range fields {
		known = append(known, string(fd.Name()))
	}
	if b.TakesDevice() {
		known = append(known, "device_id")
	}
	hint := "; this operation takes none"
	if near := wirejson.Nearest(name, known); near != "" {
		hint = "; did you mean " + near + "?"
	} else if len(known) > 0 {
		hint = "; known are " + strings.Join(known, ", ")
	}
	return badParameter(clip(name), "unknown query parameter %s%s", clip(name), hint)
}

// clip bounds what of an input an answer repeats.
func clip(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "…"
}
