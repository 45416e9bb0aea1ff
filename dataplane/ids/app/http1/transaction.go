package http1

import (
	"bytes"
	"unsafe"

	"ngfw.sh/dataplane/ids/app/inflate"
	"ngfw.sh/dataplane/ids/app/tx"
)

// Transaction is a request and its response.
type Transaction struct {
	tx.Common
	p                 *Parser
	request, response message

	method                 []byte
	rawURI, uri, path      []byte
	host, rawHost          []byte
	statusCode, statusText []byte
	parts                  *multipart
	upgrade                []byte
	connect                bool
	continued              bool
	decided                bool
}

// message is one direction.
type message struct {
	line        []byte
	protocol    []byte
	version     int // 101 is HTTP/1.1; -1: not to be read
	status      int
	short       bool // a request line without a version
	odd         bool // body bytes came before a status line
	lineDone    bool
	headersDone bool
	fields      []field
	raw         []byte
	headerBytes int
	te          []byte
	cl          *field
	layers      []*inflate.Stream
	data        []byte // body, decoded, as far as it is looked at
	size        uint64 // decoded
	wire        uint64 // as sent
	started     bool
	file        *tx.File
	doubtful    bool // the length is not to be trusted: more may follow
	cut         bool // something of the body is missing
	built       [assembled][]byte
	made        [assembled]bool // of built
	texts       tx.Store
}

// keptBytes and keptFields are how much memory of a message is kept for the next.
const (
	keptBytes  = 2 << 10
	keptFields = 64
)

// renew makes m a new message that uses what it was kept in.
func (m *message) renew() {
	m.texts.Reset()
	old := *m
	*m = message{fields: old.fields[:0], raw: emptied(old.raw), texts: old.texts}
	if cap(m.fields) > keptFields {
		m.fields = nil
	}
	for i, b := range old.built {
		m.built[i] = emptied(b)
	}
}

func emptied(b []byte) []byte {
	if cap(b) > keptBytes {
		return nil
	}
	return b[:0]
}

// renew makes t a new transaction that uses what it was kept in.
func (t *Transaction) renew() {
	t.release()
	t.Common.Renew()
	t.request.renew()
	t.response.renew()
	*t = Transaction{Common: t.Common, p: t.p, request: t.request, response: t.response}
}

// Request is what was asked, for the protocol that takes over.
func (t *Transaction) Request(header func(name, value []byte)) (method, uri []byte) {
	for i := range t.request.fields {
		header(t.request.fields[i].name, t.request.fields[i].value)
	}
	return t.method, t.rawURI
}

func (t *Transaction) message(dir tx.Direction) *message {
	if dir == tx.ToServer {
		return &t.request
	}
	return &t.response
}

func (t *Transaction) startBody(dir tx.Direction) {
	m := t.message(dir)
	if m.started {
		return
	}
	m.started = true
	if dir == tx.ToServer && string(t.method) == "POST" {
		t.parts = newMultipart(t, m.value("content-type"))
	}
}

// body takes a piece of a body as sent, free of chunks.
func (t *Transaction) body(dir tx.Direction, b []byte) {
	m := t.message(dir)
	if len(b) == 0 {
		return
	}
	if !m.started {
		t.startBody(dir)
	}
	m.wire += uint64(len(b))
	if m.lineDone && len(m.layers) > 0 {
		t.decode(dir, m.layers, b)
		return
	}
	t.decoded(dir, b)
}

// decode sends b through the layers of encodings, the outermost first.
func (t *Transaction) decode(dir tx.Direction, layers []*inflate.Stream, b []byte) bool {
	if len(layers) == 0 {
		return t.decoded(dir, b)
	}
	more := true
	layers[0].Write(b, func(out []byte) bool {
		more = t.decode(dir, layers[1:], out)
		return more
	})
	if layers[0].Failed {
		t.Event("gzip_decompression_failed")
	}
	return more
}

// decoded takes a piece of a body as its reader sees it. It is false when no more is wanted.
func (t *Transaction) decoded(dir tx.Direction, b []byte) bool {
	m := t.message(dir)
	limit := t.p.limits.RequestBody
	if dir == tx.ToClient {
		limit = t.p.limits.ResponseBody
	}
	m.size += uint64(len(b))
	if len(m.layers) > 0 && m.size > t.p.limits.DecompressedBytes && m.size > 2048*m.wire {
		t.Event("compression_bomb")
	}
	room := limit - min(limit, uint64(len(m.data)))
	take := b
	if uint64(len(take)) > room {
		take = take[:room]
		m.cut = true
	}
	before := m.data
	m.data = append(grow(before, len(take)), take...)
	t.toFiles(dir, take)
	if cap(before) != cap(m.data) {
		recycle(before) // the file has gone over to the new one
	}
	if uint64(len(b)) > room {
		t.closeBodyFiles(dir, tx.FileTruncated)
		return len(m.layers) == 0
	}
	return true
}

func (t *Transaction) toFiles(dir tx.Direction, b []byte) {
	m := t.message(dir)
	if dir == tx.ToServer {
		if t.parts != nil {
			t.parts.write(b)
			return
		}
		if s := string(t.method); s != "POST" && s != "PUT" {
			return
		}
	}
	if m.file == nil {
		name := unsafe.String(unsafe.SliceData(t.path), len(t.path)) // both live as long as the transaction
		if dir == tx.ToClient {
			if d := dispositionName(m.value("content-disposition")); d != "" {
				name = d
			}
		}
		m.file = t.NewFile(dir, t.p.fileID(), name, &t.p.limits)
	}
	m.file.Share(m.data, b)
}

// fileID numbers the files of the connection.
func (p *Parser) fileID() uint32 {
	p.files++
	return p.files - 1
}

func (t *Transaction) closeBodyFiles(dir tx.Direction, how tx.FileState) {
	if dir == tx.ToServer && t.parts != nil {
		t.parts.close(how)
	}
	t.CloseFiles(dir, how)
}

func (t *Transaction) gap(dir tx.Direction) {
	t.message(dir).cut = true
	t.message(dir).layers = nil
	t.closeBodyFiles(dir, tx.FileTruncated)
}

// end finishes a direction.
func (t *Transaction) end(dir tx.Direction, how tx.FileState) {
	m := t.message(dir)
	for i, layer := range m.layers {
		layer.Close(func(out []byte) bool { return t.decode(dir, m.layers[i+1:], out) })
	}
	if t.Ended[dir] && m.layers == nil {
		return
	}
	m.layers = nil
	t.Ended[dir] = true
	m.lineDone, m.headersDone = true, true
	if m.cut {
		how = tx.FileTruncated
	}
	t.closeBodyFiles(dir, how)
}

// dispositionName is the file name in a Content-Disposition.
func dispositionName(v []byte) string {
	lower := bytes.ToLower(v)
	i := bytes.Index(lower, []byte("filename="))
	if i < 0 {
		return ""
	}
	v = bytes.TrimSpace(v[i+len("filename="):])
	if len(v) > 0 && v[0] == '"' {
		v = v[1:]
		if end := bytes.IndexByte(v, '"'); end >= 0 {
			return string(v[:end])
		}
		return string(v)
	}
	if end := bytes.IndexAny(v, "; \t"); end >= 0 {
		v = v[:end]
	}
	return string(v)
}
