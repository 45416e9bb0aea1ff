package openapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func (b *builder) responses(o *operation.Binding, tagged bool) object {
	out := object{}
	for _, status := range errorStatuses(o) {
		out[strconv.Itoa(status)] = ref("responses", responseName(status))
	}
	if o.Stream {
		out["101"] = object{"description": "The WebSocket is open: text frames of StreamFrame. A frame " +
			`{"type":"filter","filter":{…}} sets another filter. Close codes: 4401 the token expired or was revoked, 1001 restart.`}
		out["200"] = object{
			"description": "Server-sent events, for Accept: text/event-stream: event is the frame's type, id its cursor, data the frame.",
			"content":     object{"text/event-stream": object{"schema": object{"type": "string"}}},
		}
		return out
	}
	headers := object{"X-Request-Id": ref("headers", "RequestID")}
	for _, h := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
		headers[h] = ref("headers", h)
	}
	if strings.HasPrefix(o.Pattern, "/api/traffic/") && !o.Download {
		headers["X-Data-Source"] = object{"schema": object{"type": "string", "enum": []any{"exact", "rollup"}},
			"description": "Whether figures were summed from rows, or from sums per minute, hour and day."}
	}
	if o.Download {
		headers["Content-Disposition"] = object{"schema": object{"type": "string"}, "description": "Names the file."}
		content := object{}
		for _, media := range []string{"text/csv", "application/x-ndjson", "application/vnd.apache.parquet"} {
			content[media] = object{"schema": object{"type": "string", "format": "binary"}}
		}
		out["200"] = object{"description": "The file, sent as it is made.", "headers": headers, "content": content}
		return out
	}
	success := object{"description": http.StatusText(o.Success), "headers": headers}
	if o.Success != http.StatusNoContent {
		success["content"] = object{"application/json": object{"schema": b.answer(o)}}
	}
	if tagged {
		headers["ETag"] = ref("headers", "ETag")
	}
	if tagged && o.Verb == http.MethodGet {
		out["304"] = object{"description": "The resource is still the one of If-None-Match."}
	}
	out[strconv.Itoa(o.Success)] = success
	return out
}

func (b *builder) answer(o *operation.Binding) object {
	if o.ResponseBody == "" {
		return b.message(o.Method.Output(), read)
	}
	return b.field(o.Method.Output().Fields().ByName(protoreflect.Name(o.ResponseBody)), read, false)
}

// errorStatuses are those that the operation can answer with.
func errorStatuses(o *operation.Binding) []int {
	out := []int{400, 429, 500, 503}
	public := o.Permission == ngfwv1.Permission_PERMISSION_PUBLIC
	if !public || o.Verb == http.MethodPost { // signing in can fail
		out = append(out, 401)
	}
	if !public {
		out = append(out, 403)
	}
	if len(o.Params()) > 0 || o.TakesDevice() {
		out = append(out, 404)
	}
	if o.Verb != http.MethodGet {
		out = append(out, 408, 409, 413)
	}
	if o.IfMatch {
		out = append(out, 412)
	}
	if o.Body != "" {
		out = append(out, 415)
	}
	if o.Stream {
		out = append(out, 426)
	}
	slices.Sort(out)
	return out
}

var errorCodes = []int{400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 426, 429, 500, 503}

func responseName(status int) string { return "Error" + strconv.Itoa(status) }

func errorResponses() object {
	out := object{}
	for _, status := range errorCodes {
		headers := object{"X-Request-Id": ref("headers", "RequestID")}
		switch status {
		case http.StatusTooManyRequests:
			headers["Retry-After"] = ref("headers", "RetryAfter")
		case http.StatusUnauthorized:
			headers["WWW-Authenticate"] = ref("headers", "Challenge")
		}
		out[responseName(status)] = object{
			"description": http.StatusText(status) + ": " + codesOf(status),
			"headers":     headers,
			"content": object{
				"application/json":         object{"schema": ref("schemas", "ErrorEnvelope")},
				"application/problem+json": object{"schema": ref("schemas", "Problem")},
			},
		}
	}
	return out
}

func codesOf(status int) string {
	var names []string
	for _, c := range envelope.Codes(status) {
		names = append(names, string(c))
	}
	slices.Sort(names)
	text := ""
	for i, n := range names {
		if i > 0 {
			text += ", "
		}
		text += n
	}
	return text
}

func errorSchemas() object {
	var codes []string
	for _, status := range errorCodes {
		for _, c := range envelope.Codes(status) {
			codes = append(codes, string(c))
		}
	}
	slices.Sort(codes)
	text, integer := object{"type": "string"}, object{"type": "integer", "format": "int64"}
	return object{
		"ErrorEnvelope": object{"type": "object", "required": []any{"error"}, "properties": object{"error": ref("schemas", "Error")}},
		"Error": object{
			"type": "object", "required": []any{"code", "message", "details"},
			"properties": object{
				"code":    object{"type": "string", "enum": slices.Compact(codes)},
				"message": text,
				"field":   object{"type": "string", "description": "JSON path of the first wrong field."},
				"details": object{"type": "object", "additionalProperties": true, "properties": object{
					"validation_errors": object{"type": "array", "items": object{
						"type": "object", "required": []any{"field", "message"},
						"properties": object{"field": text, "message": text}}},
					"limit_info": object{
						"type": "object", "required": []any{"limit", "current", "reset_at"},
						"properties": object{"limit": integer, "current": integer,
							"reset_at": object{"type": "integer", "format": "int64", "nullable": true}}},
				}},
			},
		},
		"Problem": object{
			"type": "object", "description": "RFC 9457, with the envelope's error as an extension.",
			"required": []any{"type", "title", "status", "detail", "error"},
			"properties": object{"type": text, "title": text, "status": object{"type": "integer"}, "detail": text,
				"error": ref("schemas", "Error")},
		},
		"Health": object{
			"type": "object", "required": []any{"status", "parts"},
			"properties": object{
				"status": object{"type": "string", "enum": []any{"ok", "failing", "stopping"}},
				"parts":  object{"type": "object", "additionalProperties": object{"type": "string"}}},
		},
	}
}
