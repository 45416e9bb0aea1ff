package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
)

// multipart finds the files of a form (RFC 7578) as its pieces come.
type multipart struct {
	t        *Transaction
	boundary []byte // with the dashes
	pending  tx.Pending
	inHeader bool
	file     *tx.File
	over     bool
}

func newMultipart(t *Transaction, contentType []byte) *multipart {
	lower := bytes.ToLower(contentType)
	if !bytes.HasPrefix(bytes.TrimSpace(lower), []byte("multipart/form-data")) {
		return nil
	}
	i := bytes.Index(lower, []byte("boundary="))
	if i < 0 {
		t.Event("multipart_generic_error")
		return nil
	}
	b := bytes.TrimSpace(contentType[i+len("boundary="):])
	if len(b) > 0 && b[0] == '"' {
		b = b[1:]
		if end := bytes.IndexByte(b, '"'); end >= 0 {
			b = b[:end]
		}
	} else if end := bytes.IndexAny(b, ";, \t"); end >= 0 {
		b = b[:end]
	}
	if len(b) == 0 || len(b) > 200 {
		t.Event("multipart_generic_error")
		return nil
	}
	return &multipart{t: t, boundary: append([]byte("--"), b...)}
}

func (m *multipart) write(data []byte) {
	b := m.pending.Join(data)
	for !m.over {
		rest, more := m.step(b)
		b = rest
		if !more {
			break
		}
	}
	if m.over {
		b = nil
	}
	m.pending.Keep(b)
}

func (m *multipart) step(b []byte) (rest []byte, more bool) {
	if !m.inHeader {
		i := bytes.Index(b, m.boundary)
		if i < 0 {
			// All but what may be the beginning of a boundary is the part's.
			keep := min(len(b), len(m.boundary)+3)
			m.content(b[:len(b)-keep])
			return b[len(b)-keep:], false
		}
		after := b[i+len(m.boundary):]
		if len(after) < 2 {
			keep := min(i, 2)
			m.content(b[:i-keep])
			return b[i-keep:], false
		}
		m.content(bytes.TrimSuffix(bytes.TrimSuffix(b[:i], []byte("\n")), []byte("\r")))
		m.closeFile(tx.FileClosed)
		if after[0] == '-' && after[1] == '-' {
			m.over = true
			return nil, false
		}
		m.inHeader = true
		return after, true
	}
	end, skip := bytes.Index(b, []byte("\r\n\r\n")), 4
	if i := bytes.Index(b, []byte("\n\n")); i >= 0 && (end < 0 || i < end) {
		end, skip = i, 2
	}
	if end < 0 {
		if len(b) > 8<<10 {
			m.t.Event("multipart_invalid_header")
			m.over = true
		}
		return b, false
	}
	m.header(b[:end])
	m.inHeader = false
	return b[end+skip:], true
}

func (m *multipart) header(b []byte) {
	disposition := false
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			if len(bytes.TrimSpace(line)) > 0 {
				m.t.Event("multipart_invalid_header")
			}
			continue
		}
		if !bytes.EqualFold(bytes.TrimSpace(name), []byte("content-disposition")) {
			continue
		}
		disposition = true
		if file := dispositionName(value); file != "" {
			m.file = m.t.NewFile(tx.ToServer, m.t.p.fileID(), file, &m.t.p.limits)
		}
	}
	if !disposition {
		m.t.Event("multipart_generic_error")
	}
}

func (m *multipart) content(b []byte) {
	if m.file != nil {
		m.file.Write(b)
	}
}

func (m *multipart) closeFile(how tx.FileState) {
	if m.file != nil {
		m.file.Close(how)
		m.file = nil
	}
}

func (m *multipart) close(tx.FileState) {
	if !m.over && m.file != nil {
		m.content(m.pending.Join(nil))
		m.closeFile(tx.FileTruncated)
	}
	m.over = true
}
