package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/inflate"
	"ngfw.sh/dataplane/ids/app/tx"
)

// finishHeaders decides how long the body is, and what it is packed in.
func (p *Parser) finishHeaders(dir tx.Direction) {
	p.flushField(dir)
	s := &p.sides[dir]
	t := s.tx
	m := t.message(dir)
	if s.state == trailers {
		p.endMessage(dir)
		return
	}
	m.headersDone = true
	m.te, m.cl = m.value("transfer-encoding"), m.find([]byte("content-length"))
	if dir == tx.ToServer {
		p.requestHeadersDone(t)
	} else {
		p.responseHeadersDone(t)
	}
}

// chunked says whether a transfer encoding names it, zeros within notwithstanding.
func chunked(te []byte) bool {
	return bytes.Contains(bytes.ToLower(bytes.ReplaceAll(te, []byte{0}, nil)), []byte("chunked"))
}

// number reads a length as libhtp does: it skips what is before the digits and
// ignores what is after them.
func number(b []byte) (v uint64, ok, clean bool) {
	b = trimLWS(b)
	i := 0
	for i < len(b) && (b[i] < '0' || b[i] > '9') {
		i++
	}
	clean = i == 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if v > 1<<58 {
			return 0, false, false
		}
		v, ok = v*10+uint64(b[i]-'0'), true
	}
	return v, ok, clean && i == len(b)
}

func (p *Parser) requestHeadersDone(t *Transaction) {
	m := &t.request
	t.setHost()
	t.checkAuthorization()
	t.connect = string(t.method) == "CONNECT"
	if up := m.value("upgrade"); up != nil {
		t.upgrade = bytes.ToLower(bytes.TrimSpace(up))
	}
	p.layers(t, tx.ToServer)
	s := &p.sides[tx.ToServer]
	switch {
	case m.te != nil && chunked(m.te):
		if m.version >= 0 && m.version < 101 {
			t.Event("invalid_transfer_encoding_value_in_request")
		}
		t.startBody(tx.ToServer)
		s.state, s.chunks = chunkSize, 0
		return
	case m.te != nil:
		t.Event("invalid_transfer_encoding_value_in_request")
	case m.cl != nil:
		n, ok, clean := number(m.cl.value)
		if !ok || !clean {
			t.Event("invalid_content_length_field_in_request")
		}
		if ok && n > 0 {
			t.startBody(tx.ToServer)
			s.state, s.left = identity, n
			return
		}
	}
	if string(t.method) == "POST" && m.te == nil && m.cl == nil {
		// A body may come all the same.
		p.toFinal(tx.ToServer)
		return
	}
	p.endMessage(tx.ToServer)
}

func (p *Parser) responseHeadersDone(t *Transaction) {
	m := &t.response
	s := &p.sides[tx.ToClient]
	if m.status == 100 && m.te == nil && m.cl == nil {
		if t.continued {
			t.Event("100_continue_already_seen")
		}
		t.continued = true
		t.response = message{}
		s.state = startLine
		return
	}
	if m.status == 101 && m.te == nil && m.cl == nil && len(t.upgrade) > 0 {
		p.upgrade(t)
		return
	}
	if t.connect && m.status >= 200 && m.status <= 299 {
		p.tunnel, p.changed = true, protocolTLS
		t.end(tx.ToServer, tx.FileClosed)
		t.end(tx.ToClient, tx.FileClosed)
		s.tx = nil
		return
	}
	if string(t.method) == "HEAD" {
		p.endMessage(tx.ToClient)
		return
	}
	bodiless := m.status >= 100 && m.status <= 199 || m.status == 204 || m.status == 304
	if bodiless && m.te == nil && m.cl == nil {
		t.startBody(tx.ToClient)
		p.toFinal(tx.ToClient)
		return
	}
	p.layers(t, tx.ToClient)
	if ct := m.value("content-type"); bytes.Contains(lower(&m.texts, ct), []byte("multipart/byteranges")) {
		t.Event("response_multipart_byteranges")
	}
	t.startBody(tx.ToClient)
	switch {
	case m.te != nil && chunked(m.te):
		if !bytes.EqualFold(bytes.TrimSpace(m.te), []byte("chunked")) {
			t.Event("response_abnormal_transfer_encoding")
		}
		if m.version >= 0 && m.version < 101 {
			t.Event("response_chunked_old_proto")
		}
		s.state, s.chunks = chunkSize, 0
	case m.cl != nil:
		n, ok, clean := number(m.cl.value)
		if !ok || !clean {
			t.Event("invalid_content_length_field_in_response")
		}
		switch {
		case !ok:
			s.state = untilEnd
		case n == 0:
			p.endMessage(tx.ToClient)
		default:
			s.state, s.left = identity, n
			m.doubtful = !clean
		}
	default:
		if m.te != nil {
			t.Event("invalid_transfer_encoding_value_in_response")
		}
		s.state = untilEnd
	}
}

// upgrade follows a 101 that grants what was asked.
func (p *Parser) upgrade(t *Transaction) {
	granted := bytes.ToLower(bytes.TrimSpace(t.response.value("upgrade")))
	if granted == nil {
		granted = t.upgrade
	}
	switch {
	case bytes.HasPrefix(granted, []byte("h2c")):
		p.changed = protocolHTTP2
	case bytes.HasPrefix(granted, []byte("websocket")):
		p.changed = protocolWebSocket
	default:
		p.changed = 0
	}
	p.tunnel = true
	t.end(tx.ToServer, tx.FileClosed)
	t.end(tx.ToClient, tx.FileClosed)
	p.sides[tx.ToClient].tx = nil
}

var protocolTLS, protocolHTTP2, protocolWebSocket = tx.Proto("tls"), tx.Proto("http2"), tx.Proto("websocket")

// layers sets up the decoders that the content encodings name, in the order in which
// libhtp undoes them: that of the header.
func (p *Parser) layers(t *Transaction, dir tx.Direction) {
	m := t.message(dir)
	ce := m.value("content-encoding")
	if ce == nil {
		return
	}
	exact := 0
	for token := range bytes.FieldsFuncSeq(bytes.ReplaceAll(ce, []byte{0}, nil), func(r rune) bool { return r == ',' || r == ' ' }) {
		token = bytes.ToLower(token)
		var format inflate.Format
		switch {
		case bytes.Contains(token, []byte("gzip")):
			format = inflate.Gzip
			if string(token) != "gzip" && string(token) != "x-gzip" {
				t.Event("abnormal_ce_header")
			}
		case bytes.Contains(token, []byte("deflate")):
			format = inflate.Deflate
			if string(token) != "deflate" && string(token) != "x-deflate" {
				t.Event("abnormal_ce_header")
			}
		case string(token) == "inflate", string(token) == "identity", string(token) == "lzma":
			continue
		default:
			t.Event("abnormal_ce_header")
			continue
		}
		if exact++; exact > p.limits.DecompressLayers {
			t.Event("too_many_encoding_layers")
			return
		}
		m.layers = append(m.layers, inflate.NewStream(format))
	}
}

// chunkLine takes the line that says a chunk's size. Of a response that says none,
// the rest is a body as it stands; that is how browsers read it.
func (p *Parser) chunkLine(dir tx.Direction, b []byte) (int, bool) {
	s := &p.sides[dir]
	at := 0
	for at < len(b) && (isSpace(b[at]) || b[at] == 0) && b[at] != '\n' {
		at++
	}
	if at < len(b) && b[at] == '\n' {
		return at + 1, true
	}
	size, digits := uint64(0), 0
	for ; at < len(b); at++ {
		d, ok := hex(b[at])
		if !ok {
			break
		}
		if size > 1<<56 {
			digits = 0
			break
		}
		size = size<<4 | uint64(d)
		digits++
	}
	if at == len(b) && at < 64 && !s.closed {
		return 0, false
	}
	i := bytes.IndexByte(b, '\n')
	if digits > 0 && i < 0 && len(b) < 1024 && !s.closed {
		return 0, false
	}
	if digits == 0 || i < 0 {
		s.tx.Event([]string{"invalid_request_chunk_len", "invalid_response_chunk_len"}[dir])
		if dir == tx.ToServer {
			p.kill(dir)
			return len(b), true
		}
		s.state = untilEnd
		return 0, true
	}
	if rest := bytes.TrimSpace(b[at:i]); dir == tx.ToServer && len(rest) > 0 && rest[0] == ';' {
		s.tx.Event("request_chunk_extension")
	}
	s.chunks++
	if size == 0 {
		s.state, s.afterLF, s.lfcr = trailers, false, false
		return i + 1, true
	}
	s.state, s.left = chunkData, size
	return i + 1, true
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
