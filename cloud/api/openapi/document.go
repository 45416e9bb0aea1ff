// Package openapi owns the description of the API: an OpenAPI 3.0 document made
// of the same operations that the gateway and the interceptor chain read, and of
// the message descriptors that package wirejson writes by. What a descriptor
// says (a bare list, a 64-bit number, a null) stands here as it is on the wire.
//
// The package is pure.
package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/operation"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

type object = map[string]any

// builder collects the schemas that operations use.
type builder struct {
	schemas object
}

// Document describes the operations and the public pages beside them, as JSON.
func Document(ops []*operation.Operation, public ...string) ([]byte, error) {
	b := &builder{schemas: errorSchemas()}
	paths := object{}
	for _, o := range ops {
		for i, binding := range o.Bindings {
			item, ok := paths[binding.Pattern].(object)
			if !ok {
				item = object{}
				paths[binding.Pattern] = item
			}
			verb := strings.ToLower(binding.Verb)
			if _, twice := item[verb]; twice {
				return nil, fmt.Errorf("%s %s is bound twice", binding.Verb, binding.Pattern)
			}
			item[verb] = b.operation(binding, i, tagged(ops, binding))
		}
	}
	for _, p := range append([]string{"/", "/health", "/metrics", "/openapi.json"}, public...) {
		paths[p] = object{"get": page(p)}
	}
	b.frames()
	return json.Marshal(object{
		"openapi": "3.0.3",
		"info": object{
			"title":   "ngfw.sh",
			"version": "1",
			"description": "Times are Unix seconds, 64-bit integers are JSON numbers, lists are bare arrays. " +
				"Every answer carries X-Request-Id, every failure the error envelope.",
			"license": object{"name": "Apache-2.0"},
		},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"bearer": []any{}}},
		"paths":    paths,
		"components": object{
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer",
				"description": "An access token of a session, or an API token (ngfw_pat_…)."}},
			"schemas":    b.schemas,
			"responses":  errorResponses(),
			"parameters": sharedParameters(),
			"headers":    sharedHeaders(),
		},
	})
}

// tagged says whether the answer has an ETag: what is read where it, or a member of it,
// can be replaced; and what comes of such a write.
func tagged(ops []*operation.Operation, at *operation.Binding) bool {
	if at.Verb != http.MethodGet {
		return at.IfMatch && at.Success != http.StatusNoContent
	}
	return slices.ContainsFunc(ops, func(o *operation.Operation) bool {
		return slices.ContainsFunc(o.Bindings, func(b *operation.Binding) bool {
			return b.Pattern == at.Pattern && b.Verb == http.MethodPut || o.IfMatch && path.Dir(b.Pattern) == at.Pattern
		})
	})
}

func (b *builder) operation(o *operation.Binding, index int, tagged bool) object {
	service := strings.TrimSuffix(string(o.Method.Parent().Name()), "Service")
	id := strings.ToLower(service[:1]) + service[1:] + string(o.Method.Name())
	if index > 0 {
		id = fmt.Sprintf("%s%d", id, index+1)
	}
	out := object{
		"operationId": id,
		"tags":        []any{strings.ToLower(service)},
		"summary":     words(string(o.Method.Name())),
		"parameters":  b.parameters(o),
		"responses":   b.responses(o, tagged),
	}
	if text := ngfwv1.Comments[string(o.Method.FullName())]; text != "" {
		out["description"] = text
	}
	switch o.Permission {
	case ngfwv1.Permission_PERMISSION_PUBLIC:
		out["security"] = []any{}
	default:
		scope := strings.ToLower(strings.TrimPrefix(o.Permission.String(), "PERMISSION_"))
		out["x-scope"] = scope
	}
	if o.Feature != ngfwv1.Feature_FEATURE_UNSPECIFIED {
		out["x-plan-feature"] = strings.ToLower(strings.TrimPrefix(o.Feature.String(), "FEATURE_"))
	}
	if body := b.requestBody(o); body != nil {
		out["requestBody"] = body
	}
	return out
}

func (b *builder) requestBody(o *operation.Binding) object {
	var schema any
	in := o.Method.Input()
	required := true
	switch o.Body {
	case "":
		return nil
	case "*":
		schema = b.writeForm(in, o.HiddenFromBody)
		required = false
	default:
		fd := in.Fields().ByName(protoreflect.Name(o.Body))
		schema = b.field(fd, write, false)
	}
	return object{"required": required, "content": object{"application/json": object{"schema": schema}}}
}

func (b *builder) parameters(o *operation.Binding) []any {
	out := []any{}
	for _, fd := range o.Params() {
		out = append(out, object{"name": string(fd.Name()), "in": "path", "required": true, "schema": b.field(fd, write, false)})
	}
	for _, fd := range o.Query() {
		p := object{"name": string(fd.Name()), "in": "query", "schema": b.field(fd, write, false)}
		if fd.IsList() {
			p["description"] = "May be repeated, and list values separated by commas."
		}
		if text := ngfwv1.Comments[string(fd.FullName())]; text != "" {
			p["description"] = strings.TrimSpace(text + ". " + fmt.Sprint(orEmpty(p["description"])))
		}
		out = append(out, p)
	}
	if o.TakesDevice() {
		out = append(out, ref("parameters", "DeviceHeader"), ref("parameters", "DeviceQuery"))
	}
	if o.Stream {
		out = append(out, ref("parameters", "LastEventID"), ref("parameters", "Ticket"))
	}
	if o.Verb == http.MethodPost && o.Permission != ngfwv1.Permission_PERMISSION_PUBLIC {
		out = append(out, ref("parameters", "IdempotencyKey"))
	}
	if o.IfMatch {
		out = append(out, ref("parameters", "IfMatch"))
	}
	return out
}

func orEmpty(v any) any {
	if v == nil {
		return ""
	}
	return v
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// words splits a Go name: ListDevices is "List devices", ListIDSRules "List IDS rules".
func words(name string) string {
	var out strings.Builder
	is := func(i int, what func(rune) bool) bool { return i < len(name) && what(rune(name[i])) }
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && (is(i-1, unicode.IsLower) || is(i+1, unicode.IsLower)) {
			out.WriteByte(' ')
			if is(i+1, unicode.IsLower) {
				r = unicode.ToLower(r)
			}
		}
		out.WriteRune(r)
	}
	return out.String()
}
