package smtp

import (
	"bytes"
	"strings"

	"ngfw.sh/dataplane/ids/app/mime"
	"ngfw.sh/dataplane/ids/app/tx"
)

// handler takes what is found in a mail.
type handler struct{ p *Parser }

var headerKinds = map[string]string{
	"from": "email.from", "to": "email.to", "cc": "email.cc", "subject": "email.subject", "date": "email.date", "message-id": "email.message_id",
	"x-mailer": "email.x_mailer", "received": "email.received",
}

func (h handler) Header(f mime.Header) {
	kind := headerKinds[strings.ToLower(f.Name)]
	if kind == "" {
		return
	}
	t := h.p.t
	if kind != "email.received" && t.Has(tx.ToServer, kind) {
		t.Event("duplicate_fields")
		return
	}
	t.Put(tx.ToServer, kind, []byte(f.Value))
}

func (h handler) OpenFile(name string) {
	p := h.p
	h.CloseFile()
	p.file = tx.NewFile(p.files, name, &p.Limits)
	p.files++
	p.t.AddFile(tx.ToServer, p.file)
}

func (h handler) WriteFile(b []byte) {
	if h.p.file != nil {
		h.p.file.Write(b)
	}
}

func (h handler) CloseFile() {
	if h.p.file != nil {
		h.p.file.Close(tx.FileClosed)
		h.p.file = nil
	}
}

func (h handler) Text(b []byte) {
	p := h.p
	p.sum.Write(b)
	p.text = append(p.text, b...)
	if len(p.text) > 8<<10 {
		p.findURLs(false)
	}
}

func (h handler) Event(name string) { h.p.t.Event(name) }

// findURLs takes those in the text so far, without their schemes.
func (p *Parser) findURLs(final bool) {
	b := p.text
	for p.urls < maxURLs {
		at, skip := -1, 0
		for _, scheme := range []string{"http://", "https://", "ftp://"} {
			if i := bytes.Index(bytes.ToLower(b), []byte(scheme)); i >= 0 && (at < 0 || i < at) {
				at, skip = i, len(scheme)
			}
		}
		if at < 0 {
			b = b[max(0, len(b)-8):]
			break
		}
		rest := b[at+skip:]
		end := bytes.IndexAny(rest, " \t\r\n\"'<>()")
		if end < 0 {
			if !final {
				b = b[at:]
				break
			}
			end = len(rest)
		}
		if end > 0 {
			p.t.Put(tx.ToServer, "email.url", rest[:end])
			p.urls++
		}
		b = rest[end:]
	}
	if len(b) > 4<<10 || final {
		b = nil
	}
	p.text = append(p.text[:0:0], b...)
}
