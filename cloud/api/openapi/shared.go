package openapi

import (
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func sharedParameters() object {
	text := object{"type": "string"}
	return object{
		"DeviceHeader": object{"name": "X-Device-ID", "in": "header", "schema": text,
			"description": "The router; without it and device_id the only one that there is, where an operation needs one."},
		"DeviceQuery": object{"name": "device_id", "in": "query", "schema": text, "description": "The same as X-Device-ID."},
		"LastEventID": object{"name": "Last-Event-ID", "in": "header", "schema": text,
			"description": "Cursor to resume after; wins over the query parameter cursor."},
		"Ticket": object{"name": "ticket", "in": "query", "schema": text,
			"description": "In place of Authorization, once: of POST /api/stream/ticket."},
		"IfMatch": object{"name": "If-Match", "in": "header", "schema": text,
			"description": "ETags of the resource, or of the list that it is a member of: if it is in another state by now, 412 and nothing changes."},
		"IdempotencyKey": object{"name": "Idempotency-Key", "in": "header", "schema": object{"type": "string", "maxLength": 255},
			"description": "Repeated within 24 hours with the same body the first answer comes again; with another body 409."},
	}
}

func sharedHeaders() object {
	text, integer := object{"type": "string"}, object{"type": "integer", "format": "int64"}
	return object{
		"RequestID":             object{"schema": text, "description": "The request's id, the client's own if it sent a sane one."},
		"ETag":                  object{"schema": text, "description": "For If-Match and If-None-Match."},
		"RetryAfter":            object{"schema": integer, "description": "Seconds."},
		"Challenge":             object{"schema": text, "description": "RFC 6750."},
		"X-RateLimit-Limit":     object{"schema": integer},
		"X-RateLimit-Remaining": object{"schema": integer},
		"X-RateLimit-Reset":     object{"schema": integer, "description": "Unix seconds."},
	}
}

// page describes what is no operation.
func page(path string) object {
	media, schema, summary := "application/json", object{"type": "object", "additionalProperties": true}, path
	out := object{"operationId": "page" + camel(path), "tags": []any{"pages"}, "security": []any{}}
	responses := object{}
	switch path {
	case "/":
		media, schema, summary = "text/html", object{"type": "string"}, "Start page"
	case "/health":
		schema, summary = ref("schemas", "Health"), "Whether the parts work"
		responses["503"] = object{"description": "A part fails.", "content": object{media: object{"schema": schema}}}
	case "/metrics":
		media, schema, summary = "text/plain", object{"type": "string"}, "Prometheus metrics"
		out["security"] = []any{object{}, object{"bearer": []any{}}}
		responses["401"] = ref("responses", responseName(401))
	case "/openapi.json":
		summary = "This document"
	case "/.well-known/jwks.json":
		summary = "Public keys of the tokens issued here"
	}
	responses["200"] = object{"description": "OK", "content": object{media: object{"schema": schema}}}
	out["summary"], out["responses"] = summary, responses
	return out
}

func camel(path string) string {
	out, up := "", true
	for _, r := range path {
		switch {
		case r >= 'a' && r <= 'z' && up:
			out, up = out+string(r-'a'+'A'), false
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			out += string(r)
		default:
			up = true
		}
	}
	if out == "" {
		return "Index"
	}
	return out
}

// frames describes what a live stream sends.
func (b *builder) frames() {
	entry := b.message((*ngfwv1.LogEntry)(nil).ProtoReflect().Descriptor(), read)
	alert := b.message((*ngfwv1.IdsAlert)(nil).ProtoReflect().Descriptor(), read)
	frame := func(kind string, properties object) object {
		required := []any{"type"}
		properties["type"] = object{"type": "string", "enum": []any{kind}}
		for _, n := range []string{"cursor", "data", "count", "from", "to", "filter", "error"} {
			if _, ok := properties[n]; ok {
				required = append(required, n)
			}
		}
		return object{"type": "object", "required": required, "properties": properties}
	}
	text := object{"type": "string"}
	b.schemas["StreamFrame"] = object{"oneOf": []any{
		frame("log", object{"cursor": text, "data": entry}),
		frame("alert", object{"cursor": text, "data": alert}),
		frame("heartbeat", object{}),
		frame("dropped", object{"count": object{"type": "integer", "format": "int64", "description": "Rows that a slow reader lost."}}),
		frame("gap", object{"from": text, "to": text}),
		frame("filter", object{"filter": object{"type": "object", "additionalProperties": true}}),
		frame("error", object{"error": ref("schemas", "Error")}),
	}}
}
