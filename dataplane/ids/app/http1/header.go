package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
)

// field is a header; lines of the same name are one, joined by ", ".
type field struct {
	name, value []byte
	repeated    int
}

// maxRepeated is how often a header may be repeated before it is worth an event.
const maxRepeated = 64

// maxHeaders is how many bytes of headers a message may have.
const maxHeaders = 256 << 10

func isLWS(c byte) bool { return c == ' ' || c == '\t' }

func trimLWS(b []byte) []byte {
	for len(b) > 0 && (isLWS(b[0]) || b[0] == 0) {
		b = b[1:]
	}
	for len(b) > 0 && (isLWS(b[len(b)-1]) || b[len(b)-1] == 0) {
		b = b[:len(b)-1]
	}
	return b
}

// headerLine takes one line of headers or trailers.
func (p *Parser) headerLine(dir tx.Direction, b []byte) (int, bool) {
	s := &p.sides[dir]
	m := s.tx.message(dir)
	skipped := 0
	if dir == tx.ToClient && s.afterLF && b[0] == '\r' {
		// LF CR for CR LF.
		s.afterLF, s.lfcr = false, true
		m.raw = append(m.raw, '\r')
		b, skipped = b[1:], 1
		if len(b) == 0 {
			return skipped, true
		}
	}
	line, n, ok := []byte(nil), 0, false
	if dir == tx.ToServer {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, n, ok = chomp(b[:i]), i+1, true
		}
	} else {
		line, n, ok = cutLine(b, s.closed)
	}
	if !ok {
		return skipped, skipped > 0
	}
	last := n == 1 || n == 2 && b[0] == '\r' && b[1] == '\n'
	if n == 2 && b[1] == '\n' && isLWS(b[0]) {
		// A blank alone ends the headers, if the line that ends them does not follow.
		if n == len(b) && !s.closed {
			return skipped, false
		}
		last = n < len(b) && b[n] != '\n'
	}
	if last && s.lfcr && n == 2 && b[0] == '\r' {
		if rest := b[n:]; len(rest) < 2 && !s.closed && (len(rest) == 0 || rest[0] == '\r') {
			return skipped, false
		} else if len(rest) >= 2 && rest[0] == '\r' && rest[1] == '\n' {
			n += 2
		}
	}
	if s.state == headers && len(m.raw) < 1<<17 {
		if cap(m.raw) == 0 {
			m.raw = make([]byte, 0, max(usualRaw, n))
		}
		m.raw = append(m.raw, b[:n]...)
	}
	s.afterLF = b[n-1] == '\n' && (n < 2 || b[n-2] != '\r')
	s.lfcr = s.lfcr && !s.afterLF && n > 0 && b[0] == '\r'
	if last {
		p.finishHeaders(dir)
		return skipped + n, true
	}
	p.addLine(dir, line)
	if m.headerBytes += len(line); len(m.fields) > p.limits.Headers || m.headerBytes > maxHeaders {
		s.tx.Event([]string{"request_too_many_headers", "response_too_many_headers"}[dir])
		p.kill(dir)
	}
	return skipped + n, true
}

// addLine takes a line: a field, or more of the one before.
func (p *Parser) addLine(dir tx.Direction, line []byte) {
	s := &p.sides[dir]
	if len(line) == 0 {
		// Two CR and an LF end nothing.
		s.tx.Event([]string{"request_field_missing_colon", "response_field_missing_colon"}[dir])
		return
	}
	if folded := isLWS(line[0]) || line[0] == 0; folded {
		text := trimLWS(line)
		if !s.has {
			s.tx.Event([]string{"invalid_request_field_folding", "invalid_response_field_folding"}[dir])
		} else if !(dir == tx.ToClient && s.tx.response.version == 101 && bytes.IndexByte(text, ':') > 0 && bytes.IndexByte(s.field, ':') > 0) {
			if len(s.field) < p.limits.HeaderBytes && len(text) > 0 {
				s.field = append(append(s.field, ' '), text...)
			}
			return
		} else {
			// Of two that would read it differently, the newer version's is the browsers'.
			s.tx.Event("invalid_response_field_folding")
		}
		line = text
	}
	p.flushField(dir)
	s.field, s.has = append(s.field[:0], line...), true
}

func (p *Parser) flushField(dir tx.Direction) {
	s := &p.sides[dir]
	if !s.has {
		return
	}
	s.has = false
	t := s.tx
	m := t.message(dir)
	line := s.field
	colon := bytes.IndexByte(line, ':')
	f := field{}
	if colon < 0 {
		t.Event([]string{"request_field_missing_colon", "response_field_missing_colon"}[dir])
		f.value = m.texts.Keep(trimLWS(line))
	} else {
		name := line[:colon]
		trimmed := bytes.TrimRight(name, " \t\x0b\x0c\r")
		if len(trimmed) == 0 || len(trimmed) < len(name) || !allTokens(trimmed) {
			t.Event([]string{"request_header_invalid", "response_header_invalid"}[dir])
		}
		f.name, f.value = m.texts.Keep(withoutZeros(bytes.TrimLeft(trimmed, " \t"))), m.texts.Keep(trimLWS(line[colon+1:]))
	}
	if old := m.find(f.name); old != nil && len(f.name) > 0 {
		if old.repeated++; old.repeated == maxRepeated {
			t.Event([]string{"request_header_repetition", "response_header_repetition"}[dir])
		}
		// Of lengths, the first counts.
		if !bytes.EqualFold(f.name, []byte("content-length")) && old.repeated < maxRepeated && len(old.value) < p.limits.HeaderBytes {
			old.value = append(append(old.value, ", "...), f.value...)
		} else {
			t.Event([]string{"duplicate_content_length_field_in_request", "duplicate_content_length_field_in_response"}[dir])
		}
		return
	}
	if cap(m.fields) == 0 {
		m.fields = make([]field, 0, usualFields)
	}
	m.fields = append(m.fields, f)
}

// What headers need as a rule.
const (
	usualFields = 12
	usualRaw    = 768
)

func withoutZeros(b []byte) []byte {
	if bytes.IndexByte(b, 0) < 0 {
		return b
	}
	return bytes.ReplaceAll(b, []byte{0}, nil)
}

func allTokens(b []byte) bool {
	for _, c := range b {
		if !isToken(c) {
			return false
		}
	}
	return true
}

// find is the header of a name, nil if there is none.
func (m *message) find(name []byte) *field {
	for i := range m.fields {
		if len(m.fields[i].name) == len(name) && bytes.EqualFold(m.fields[i].name, name) {
			return &m.fields[i]
		}
	}
	return nil
}

func (m *message) value(name string) []byte {
	if f := m.find([]byte(name)); f != nil {
		return f.value
	}
	return nil
}
