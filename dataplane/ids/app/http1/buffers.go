package http1

import (
	"maps"
	"slices"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// stage is what must have been seen for a buffer not to change any more.
type stage uint8

const (
	ofLine stage = iota + 1
	ofHeaders
	ofBody
	ofFiles
)

// kinds says which buffers there are, and when they are there.
var kinds = map[string]stage{
	"http.uri": ofLine, "http.uri.raw": ofLine, "http.method": ofLine, "http.request_line": ofLine, "http.protocol": ofLine,
	"http.stat_code": ofLine, "http.stat_msg": ofLine, "http.response_line": ofLine,
	"http.host": ofHeaders, "http.host.raw": ofHeaders, "http.user_agent": ofHeaders, "http.referer": ofHeaders, "http.accept": ofHeaders,
	"http.accept_enc": ofHeaders, "http.accept_lang": ofHeaders, "http.header": ofHeaders, "http.header.raw": ofHeaders,
	"http.header_names": ofHeaders, "http.cookie": ofHeaders, "http.connection": ofHeaders, "http.content_type": ofHeaders,
	"http.content_len": ofHeaders, "http.start": ofHeaders, "http.request_header": ofHeaders, "http.response_header": ofHeaders,
	"http.server": ofHeaders, "http.location": ofHeaders,
	"http.request_body": ofBody, "http.response_body": ofBody, "file.data": ofFiles, "file.name": ofFiles,
}

// single are the headers that have a buffer of their own.
var single = map[string]string{
	"http.user_agent": "user-agent", "http.referer": "referer", "http.accept": "accept", "http.accept_enc": "accept-encoding",
	"http.accept_lang": "accept-language", "http.connection": "connection", "http.content_type": "content-type",
	"http.content_len": "content-length", "http.server": "server", "http.location": "location",
}

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Keywords: []string{"app-layer-state"}, Kinds: slices.Sorted(maps.Keys(kinds)), Frames: []string{"http1.request", "http1.response"}}
}

// progressNames are the states of each side.
var progressNames = [2]map[string]int{
	{"request_started": 0, "request_line": 1, "request_headers": 2, "request_body": 3, "request_trailer": 4, "request_complete": 5},
	{"response_started": 0, "response_line": 1, "response_headers": 2, "response_body": 3, "response_trailer": 4, "response_complete": 5},
}

// Words answers app-layer-state.
func (t *Transaction) Words(keyword string, args []string, dir tx.Direction) (match, known bool) {
	if keyword != "app-layer-state" {
		return false, false
	}
	at := 0
	switch m := t.message(dir); {
	case t.Ended[dir]:
		at = 5
	case m.headersDone:
		at = 3
	case m.lineDone:
		at = 2
	}
	return (at > 0 || t.p.sides[dir].tx == t) && tx.State(args, progressNames[:], at), true
}

// Settled says whether a kind's buffers will not change.
func (t *Transaction) Settled(kind *rule.BufferKind, dir tx.Direction) bool {
	m := t.message(dir)
	if t.Ended[dir] && m.layers == nil {
		return kinds[kind.Name] != ofFiles || t.FilesSettled(dir)
	}
	switch kinds[kind.Name] {
	case ofLine:
		return m.lineDone
	case ofHeaders:
		return m.headersDone
	case ofBody, ofFiles:
		return m.cut
	}
	return true
}

// Buffers appends the buffers of a kind.
func (t *Transaction) Buffers(kind *rule.BufferKind, dir tx.Direction, to []tx.Buffer) []tx.Buffer {
	m := t.message(dir)
	at := kinds[kind.Name]
	if at == ofFiles {
		return t.FileBuffers(kind, dir, to)
	}
	if at == 0 || at == ofLine && !m.lineDone || at == ofHeaders && !m.headersDone {
		return to
	}
	add := func(b []byte) []tx.Buffer {
		if len(b) == 0 {
			return to
		}
		return append(to, tx.Buffer{Data: b, Whole: true})
	}
	if dir == tx.ToServer {
		switch kind.Name {
		case "http.uri":
			return add(t.uri)
		case "http.uri.raw":
			return add(t.rawURI)
		case "http.method":
			return add(t.method)
		case "http.request_line":
			return add(m.line)
		case "http.host":
			return add(t.host)
		case "http.host.raw":
			return add(t.rawHost)
		case "http.cookie":
			return add(m.value("cookie"))
		}
	} else {
		switch kind.Name {
		case "http.stat_code":
			return add(t.statusCode)
		case "http.stat_msg":
			return add(t.statusText)
		case "http.response_line":
			return add(m.line)
		case "http.cookie":
			return add(m.value("set-cookie"))
		}
	}
	switch kind.Name {
	case "http.protocol":
		return add(m.protocol)
	case "http.header.raw":
		return add(m.raw)
	case "http.request_body", "http.response_body":
		if (dir == tx.ToServer) == (kind.Name == "http.request_body") && len(m.data) > 0 {
			to = append(to, tx.Buffer{Data: m.data, Whole: t.Ended[dir] || m.cut})
		}
		return to
	case "http.request_header", "http.response_header":
		if (dir == tx.ToServer) == (kind.Name == "http.request_header") {
			for i := range m.fields {
				to = append(to, tx.Buffer{Data: m.fields[i].text(), Whole: true})
			}
		}
		return to
	case "http.header":
		return add(m.build(allHeaders, dir))
	case "http.header_names":
		return add(m.build(headerNames, dir))
	case "http.start":
		return add(m.build(wholeStart, dir))
	}
	if name, ok := single[kind.Name]; ok {
		if f := m.find([]byte(name)); f != nil {
			to = append(to, tx.Buffer{Data: f.value, Whole: true})
		}
	}
	return to
}

// append puts the field as a line without its end.
func (f *field) append(b []byte) []byte {
	return append(append(append(b, f.name...), ": "...), f.value...)
}

func (f *field) text() []byte { return f.append(make([]byte, 0, len(f.name)+len(f.value)+2)) }

// The buffers that are put together of headers.
const (
	allHeaders = iota
	headerNames
	wholeStart
	assembled
)

// build makes such a buffer, once.
func (m *message) build(kind int, dir tx.Direction) []byte {
	if m.made[kind] || len(m.fields) == 0 && kind != wholeStart {
		return m.built[kind]
	}
	size := len(m.line) + 6
	for i := range m.fields {
		size += len(m.fields[i].name) + len(m.fields[i].value) + 4
	}
	b := slices.Grow(m.built[kind][:0], size)
	switch kind {
	case allHeaders:
		cookie := [...]string{"cookie", "set-cookie"}[dir]
		for i := range m.fields {
			if f := &m.fields[i]; len(f.name) != len(cookie) || !strings.EqualFold(string(f.name), cookie) {
				b = append(f.append(b), "\r\n"...)
			}
		}
	case headerNames:
		b = append(b, "\r\n"...)
		for i := range m.fields {
			b = append(append(b, m.fields[i].name...), "\r\n"...)
		}
		b = append(b, "\r\n"...)
	case wholeStart:
		b = append(append(b, m.line...), "\r\n"...)
		for i := range m.fields {
			b = append(m.fields[i].append(b), "\r\n"...)
		}
		b = append(b, "\r\n"...)
	}
	m.built[kind], m.made[kind] = b, true
	return b
}
