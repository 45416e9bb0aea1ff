package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
)

// isSpace is C's isspace, which is what a line is taken apart by.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func chomp(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

func blank(b []byte) bool {
	for _, c := range b {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// requestLine parses "GET / HTTP/1.1".
func (p *Parser) requestLine(b []byte) (int, bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return 0, false
	}
	line := chomp(b[:i+1])
	if blank(line) {
		return i + 1, true
	}
	if t := p.list.Last(); t != nil && p.sides[tx.ToServer].tx == nil && !t.Ended[tx.ToClient] && !likeRequest(line) {
		// What follows a request and is none itself belongs to it.
		t.Event("request_body_unexpected")
		t.body(tx.ToServer, b[:i+1])
		t.CloseFiles(tx.ToServer, tx.FileClosed)
		return i + 1, true
	}
	t := p.current(tx.ToServer)
	if p.sides[tx.ToServer].state == dead {
		return len(b), true
	}
	m := &t.request
	m.line = m.texts.Keep(line)
	t.parseRequestLine(p)
	m.lineDone = true
	if m.short {
		p.sides[tx.ToServer].state = afterLine
		return i + 1, true
	}
	p.sides[tx.ToServer].state = headers
	return i + 1, true
}

// likeRequest says whether a line may be a request's first: by a method, or by a version at its end.
func likeRequest(line []byte) bool {
	line = bytes.TrimSpace(line)
	end := bytes.IndexFunc(line, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) })
	if end < 0 {
		end = len(line)
	}
	return knownMethods[string(line[:end])] || len(line) > 8 && bytes.EqualFold(line[len(line)-8:len(line)-3], []byte("HTTP/"))
}

func (t *Transaction) parseRequestLine(p *Parser) {
	line := t.request.line
	at := 0
	for at < len(line) && isSpace(line[at]) {
		at++
	}
	if at > 0 {
		t.Event("request_line_leading_whitespace")
	}
	from := at
	for at < len(line) && !isSpace(line[at]) {
		at++
	}
	t.method = line[from:at]
	odd := false
	for at < len(line) && isSpace(line[at]) {
		odd = odd || line[at] != ' '
		at++
	}
	if odd {
		t.Event("method_delim_non_compliant")
	}
	if at == len(line) {
		t.request.short = true
		t.Event("request_line_incomplete")
		return
	}
	from, odd = at, false
	for at < len(line) && line[at] != ' ' {
		odd = odd || isSpace(line[at])
		at++
	}
	if odd && at == len(line) {
		// Only a space ends the target, says the RFC; many servers take any other.
		for at = from; !isSpace(line[at]); at++ {
		}
	}
	if odd {
		t.Event("uri_delim_non_compliant")
	}
	t.setURI(p, line[from:at])
	for at < len(line) && isSpace(line[at]) {
		at++
	}
	t.request.protocol = line[at:]
	t.request.version = version(line[at:])
	if at == len(line) {
		t.request.short = true
		t.request.version = 9
		t.Event("request_line_missing_protocol")
		return
	}
	if t.request.version < 0 {
		t.Event("request_line_invalid")
	}
}

// version reads "HTTP/1.1" as 101: whatever space and zeros are around.
func version(b []byte) int {
	b = bytes.TrimFunc(b, func(r rune) bool { return r == 0 || r < 0x80 && isSpace(byte(r)) })
	if len(b) < 8 || !bytes.EqualFold(b[:5], []byte("HTTP/")) {
		return -1
	}
	major, minor, dot := bytes.Cut(b[5:], []byte("."))
	if !dot || len(major) == 0 || len(minor) == 0 || len(major) > 2 || len(minor) > 2 {
		return -1
	}
	v := 0
	for _, c := range major {
		if c < '0' || c > '9' {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	w := 0
	for _, c := range minor {
		if c < '0' || c > '9' {
			return -1
		}
		w = w*10 + int(c-'0')
	}
	return v*100 + min(w, 99)
}

// versionMissing decides what follows a line without a version: headers, if it
// looks like one, else nothing (HTTP/0.9).
func (p *Parser) versionMissing(b []byte) (int, bool) {
	s := &p.sides[tx.ToServer]
	for i, c := range b {
		if c == ':' && i > 0 {
			s.tx.request.version = -1
			s.tx.request.short = false
			s.state = headers
			return 0, true
		}
		if !isToken(c) {
			break
		}
		if i == len(b)-1 && i < 64 {
			return 0, false
		}
	}
	s.tx.request.headersDone = true
	p.toFinal(tx.ToServer)
	return 0, true
}

func isToken(c byte) bool {
	return c > 0x20 && c < 0x7f && !bytes.ContainsRune([]byte("()<>@,;:\\\"/[]?={}"), rune(c))
}

var knownMethods = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{"GET", "PUT", "POST", "HEAD", "TRACE", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PROPFIND", "PROPPATCH",
		"MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE",
		"MKACTIVITY", "MERGE", "INVALID", "VERSION-CONTROL", "BASELINE-CONTROL"} {
		m[name] = true
	}
	return m
}()

// toFinal ends a message, unless the bytes after it do not begin another.
func (p *Parser) toFinal(dir tx.Direction) { p.sides[dir].state = finalize }

// answered ends a request that waited for more: its response has begun.
func (p *Parser) answered(t *Transaction) {
	if s := &p.sides[tx.ToServer]; s.tx == t && s.state == finalize {
		p.endMessage(tx.ToServer)
	}
}

// final looks at what follows a message that should have no body.
func (p *Parser) final(dir tx.Direction, b []byte) (int, bool) {
	s := &p.sides[dir]
	if dir == tx.ToClient {
		at := 0
		for at < len(b) && (isSpace(b[at]) || b[at] == 0) {
			at++
		}
		if len(b)-at < 4 && !s.closed && len(b) < 512 {
			return 0, false
		}
		if len(b)-at >= 4 && looksLikeStatus(b) {
			p.endMessage(dir)
			return 0, true
		}
		s.state, s.next = junk, finalize
		return 0, true
	}
	at := 0
	for at < len(b) && isSpace(b[at]) {
		at++
	}
	end := at
	for end < len(b) && !isSpace(b[end]) {
		end++
	}
	if end == len(b) && len(b) < 64 && !s.closed {
		return 0, false
	}
	if end == at || knownMethods[string(b[at:end])] {
		p.endMessage(dir)
		return 0, true
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(b) < p.limits.HeaderBytes && !s.closed {
			return 0, false
		}
		i = len(b) - 1
	}
	s.tx.Event("request_body_unexpected")
	s.tx.body(dir, b[:i+1])
	return i + 1, true
}
