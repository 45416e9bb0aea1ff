package http2

import (
	"bytes"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// fromHeader are buffers that are a header's value.
var fromHeader = [2]map[string]string{
	{
		"http.method": ":method", "http.uri.raw": ":path", "http.host.raw": ":authority", "http.user_agent": "user-agent",
		"http.referer": "referer", "http.accept": "accept", "http.accept_enc": "accept-encoding", "http.accept_lang": "accept-language",
		"http.content_type": "content-type", "http.content_len": "content-length", "http.connection": "connection",
	},
	{
		"http.stat_code": ":status", "http.server": "server", "http.location": "location", "http.content_type": "content-type",
		"http.content_len": "content-length", "http.connection": "connection",
	},
}

var built = map[string]bool{
	"http.uri": true, "http.host": true, "http.header": true, "http.header.raw": true, "http.header_names": true, "http.cookie": true,
	"http.request_line": true, "http.response_line": true, "http.protocol": true, "http.start": true,
}

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	v := tx.Vocabulary{Frames: []string{"http2.hdr", "http2.pdu", "http2.data"}, Kinds: []string{
		"http.request_body", "http.response_body", "http.request_header", "http.response_header", "http2.header_name", "http2.header",
		"http.stat_msg", "file.data", "file.name",
	},
		Keywords: []string{
			"http2.frametype", "http2.errorcode", "http2.priority", "http2.window", "http2.size_update", "http2.settings",
		},
	}
	for name := range built {
		v.Kinds = append(v.Kinds, name)
	}
	for _, m := range fromHeader {
		for name := range m {
			v.Kinds = append(v.Kinds, name)
		}
	}
	return v
}

// Settled says whether a kind's buffers will not change.
func (t *Transaction) Settled(kind *rule.BufferKind, dir tx.Direction) bool {
	switch kind.Name {
	case "file.data", "file.name":
		return t.FilesSettled(dir)
	case "http.request_body", "http.response_body":
		return t.Ended[dir] || t.halves[dir].cut
	}
	return t.Ended[dir] || t.halves[dir].seen && !strings.HasPrefix(kind.Name, "dns.")
}

// Buffers appends the buffers of a kind.
func (t *Transaction) Buffers(kind *rule.BufferKind, dir tx.Direction, to []tx.Buffer) []tx.Buffer {
	if kind.Layer == rule.FileData {
		return t.FileBuffers(kind, dir, to)
	}
	h := &t.halves[dir]
	if strings.HasPrefix(kind.Name, "dns.") {
		if h.dns != nil {
			return h.dns.Buffers(kind, dir, to)
		}
		return to
	}
	// Every transaction has these, frames of the connection too.
	switch kind.Name {
	case "http.protocol":
		return append(to, tx.Buffer{Data: []byte("HTTP/2"), Whole: true})
	case "http.stat_msg":
		if dir == tx.ToClient {
			to = append(to, tx.Buffer{Data: []byte{}, Whole: true})
		}
		return to
	}
	if !h.seen {
		return to
	}
	switch kind.Name {
	case "http.request_body", "http.response_body":
		if len(h.data) > 0 && (dir == tx.ToServer) == (kind.Name == "http.request_body") {
			to = append(to, tx.Buffer{Data: h.data, Whole: t.Ended[dir] || h.cut})
		}
		return to
	case "http.request_header", "http.response_header", "http2.header":
		if kind.Name != "http2.header" && (dir == tx.ToServer) != (kind.Name == "http.request_header") {
			return to
		}
		for i := range h.fields {
			to = append(to, tx.Buffer{Data: []byte(h.fields[i].Name + ": " + h.fields[i].Value), Whole: true})
		}
		return to
	case "http2.header_name":
		for i := range h.fields {
			to = append(to, tx.Buffer{Data: []byte(h.fields[i].Name), Whole: true})
		}
		return to
	}
	if name, ok := fromHeader[dir][kind.Name]; ok {
		v := h.field(name)
		if v == nil && name == ":authority" {
			v = h.field("host")
		}
		if v != nil {
			to = append(to, tx.Buffer{Data: v, Whole: true})
		}
		return to
	}
	if built[kind.Name] {
		if b := h.build(kind.Name, dir); len(b) > 0 {
			to = append(to, tx.Buffer{Data: b, Whole: true})
		}
	}
	return to
}

func (h *half) build(kind string, dir tx.Direction) []byte {
	if b, ok := h.built[kind]; ok {
		return b
	}
	if h.built == nil {
		h.built = map[string][]byte{}
	}
	var b []byte
	switch kind {
	case "http.uri":
		if dir == tx.ToServer {
			b = h.field(":path")
		}
	case "http.host":
		if dir == tx.ToServer {
			v := h.field(":authority")
			if v == nil {
				v = h.field("host")
			}
			if i := bytes.LastIndexByte(v, '@'); i >= 0 {
				v = v[i+1:]
			}
			if i := bytes.LastIndexByte(v, ':'); i >= 0 && bytes.IndexByte(v, ']') < i {
				v = v[:i]
			}
			b = bytes.ToLower(v)
		}
	case "http.request_line":
		if dir == tx.ToServer && h.field(":method") != nil {
			b = []byte(string(h.field(":method")) + " " + string(h.field(":path")) + " HTTP/2\r\n")
		}
	case "http.response_line":
		if dir == tx.ToClient && h.field(":status") != nil {
			b = []byte("HTTP/2 " + string(h.field(":status")) + "\r\n")
		}
	case "http.cookie":
		name := "cookie"
		if dir == tx.ToClient {
			name = "set-cookie"
		}
		for i := range h.fields {
			if h.fields[i].Name == name {
				if len(b) > 0 {
					b = append(b, "; "...)
				}
				b = append(b, h.fields[i].Value...)
			}
		}
	case "http.header", "http.header.raw":
		for i := range h.fields {
			f := &h.fields[i]
			if kind == "http.header" && (strings.HasPrefix(f.Name, ":") || f.Name == "cookie" || f.Name == "set-cookie") {
				continue
			}
			b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
		}
	case "http.header_names":
		b = append(b, "\r\n"...)
		for i := range h.fields {
			b = append(append(b, h.fields[i].Name...), "\r\n"...)
		}
		b = append(b, "\r\n"...)
	case "http.start":
		line := "http.request_line"
		if dir == tx.ToClient {
			line = "http.response_line"
		}
		b = append(append(append(b, h.build(line, dir)...), h.build("http.header", dir)...), "\r\n"...)
	}
	h.built[kind] = b
	return b
}

type record struct {
	Hostname string `json:"hostname,omitempty"`
	URL      string `json:"url,omitempty"`
	Agent    string `json:"http_user_agent,omitempty"`
	Type     string `json:"http_content_type,omitempty"`
	Method   string `json:"http_method,omitempty"`
	Version  string `json:"version"`
	Status   string `json:"status,omitempty"`
	Length   uint64 `json:"length"`
	HTTP2    struct {
		Stream uint32 `json:"stream_id"`
	} `json:"http2"`
}

// Record is what the event log says of it.
func (t *Transaction) Record() (string, any) {
	q, a := &t.halves[tx.ToServer], &t.halves[tx.ToClient]
	r := record{
		Hostname: string(q.build("http.host", tx.ToServer)), URL: string(q.field(":path")), Agent: string(q.field("user-agent")),
		Type: string(a.field("content-type")), Method: string(q.field(":method")), Version: "2", Status: string(a.field(":status")), Length: a.size,
	}
	r.HTTP2.Stream = t.stream
	return "http", r
}
