package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
)

// looksLikeStatus says whether a line is one to a browser: "HTTP" after whatever
// space and zeros there are.
func looksLikeStatus(b []byte) bool {
	for len(b) > 0 && (isSpace(b[0]) || b[0] == 0) {
		b = b[1:]
	}
	return len(b) >= 4 && bytes.EqualFold(b[:4], []byte("HTTP"))
}

// cutLine finds a response's line: it ends with LF, CR LF, or a CR that
// neither follows. ok is false when the end is not there yet.
func cutLine(b []byte, closed bool) (line []byte, n int, ok bool) {
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\n':
			return chomp(b[:i]), i + 1, true
		case b[i] != '\r':
		case i+1 == len(b):
			return b[:i], i + 1, closed
		case b[i+1] == '\n':
			return chomp(b[:i]), i + 2, true
		case b[i+1] != '\r':
			return chomp(b[:i]), i + 1, true
		}
	}
	return nil, 0, false
}

// statusLine parses "HTTP/1.1 200 OK".
func (p *Parser) statusLine(b []byte) (int, bool) {
	s := &p.sides[tx.ToClient]
	line, n, ok := cutLine(b, s.closed)
	if ok && blank(line) {
		return n, true
	}
	at := 0
	for at < len(b) && (isSpace(b[at]) || b[at] == 0) {
		at++
	}
	if ok && !looksLikeStatus(line) || !ok && len(b)-at >= 4 && !looksLikeStatus(b) {
		// Browsers take it as a body that has lost its head. If nothing was asked, there is nobody to
		// take it.
		if len(p.list.All()) > 0 && !p.list.Last().Ended[tx.ToClient] {
			p.current(tx.ToClient).response.odd = true
		}
		s.state, s.next = junk, startLine
		return 0, true
	}
	if !ok {
		return 0, false
	}
	t := p.current(tx.ToClient)
	if s.state == dead {
		return len(b), true
	}
	p.answered(t)
	m := &t.response
	m.line = m.texts.Keep(line)
	m.status = 0
	t.parseStatusLine()
	m.lineDone = true
	s.state = headers
	s.afterLF = b[n-1] == '\n' && (n < 2 || b[n-2] != '\r')
	return n, true
}

func (t *Transaction) parseStatusLine() {
	m := &t.response
	line := m.line
	at := 0
	for at < len(line) && isSpace(line[at]) {
		at++
	}
	from := at
	for at < len(line) && !isSpace(line[at]) {
		at++
	}
	m.protocol = line[from:at]
	if m.version = version(m.protocol); m.version < 0 {
		t.Event("response_invalid_protocol")
	}
	for at < len(line) && isSpace(line[at]) {
		at++
	}
	from = at
	for at < len(line) && !isSpace(line[at]) {
		at++
	}
	t.statusCode = line[from:at]
	m.status = 0
	for _, c := range bytes.Trim(t.statusCode, "\x00") {
		if c < '0' || c > '9' || m.status > 9999 {
			m.status = -1
			break
		}
		m.status = m.status*10 + int(c-'0')
	}
	if m.status < 100 || m.status > 999 {
		m.status = -1
		t.Event("response_invalid_status")
	}
	for at < len(line) && isSpace(line[at]) {
		at++
	}
	t.statusText = line[at:]
}
