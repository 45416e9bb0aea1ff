// Package mime owns messages of mail (RFC 5322, RFC 2045–2047) as they come, line by
// line: headers, nested parts, decoded attachments, URLs in text.
//
// It is lenient: whatever a mail program would show or save is found, whether or not the
// message is right.
package mime

import (
	"bytes"
	"strings"
)

const (
	maxHeader   = 4000 // of a value: Suricata's header-value-depth is 2000, folded lines come on top
	maxHeaders  = 512
	maxDepth    = 32
	maxBoundary = 254
)

// Header is a header of the message.
type Header struct{ Name, Value string }

// Events of Suricata's that parsing can raise.
const (
	LongBoundary    = "mime_long_boundary"
	LongHeaderName  = "mime_long_header_name"
	LongHeaderValue = "mime_long_header_value"
	InvalidBase64   = "mime_invalid_base64"
	InvalidQP       = "mime_invalid_qp"
	Malformed       = "mime_malformed_msg"
)

// Handler is told of what is found.
type Handler interface {
	// Header is a header of the message itself.
	Header(Header)
	// OpenFile begins a part that has a file's name; WriteFile and CloseFile follow.
	OpenFile(name string)
	WriteFile([]byte)
	CloseFile()
	// Text is decoded text that is no file.
	Text([]byte)
	Event(name string)
}

type encoding uint8

const (
	plain encoding = iota
	base64
	quoted
)

// Parser takes a message's lines.
type Parser struct {
	h          Handler
	field      []byte
	inHeaders  bool
	headers    int
	boundaries []string
	part       part
	carry      []byte // base64 characters that make no group yet
	newline    bool   // a line end that belongs to the boundary if one follows
}

// part is what the headers of the current part have said.
type part struct {
	top      bool
	encoding encoding
	file     string
	open     bool
	text     bool
	nested   bool // a message in the message
	boundary string
}

// New begins a message.
func New(h Handler) *Parser {
	return &Parser{h: h, inHeaders: true, part: part{top: true, text: true}}
}

// Line takes a line with its end.
func (p *Parser) Line(b []byte) {
	bare := bytes.TrimRight(b, "\r\n")
	if p.delimiter(bare) {
		return
	}
	if p.inHeaders {
		p.headerLine(bare)
		return
	}
	p.body(b, bare)
}

// Close ends the message.
func (p *Parser) Close() {
	if p.inHeaders {
		p.flush()
	}
	p.endPart()
}

// delimiter looks for a boundary: that of any part that is open.
func (p *Parser) delimiter(line []byte) bool {
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return false
	}
	text := string(bytes.TrimRight(line[2:], " \t"))
	for i := len(p.boundaries) - 1; i >= 0; i-- {
		rest, ok := strings.CutPrefix(text, p.boundaries[i])
		if !ok {
			continue
		}
		if p.inHeaders {
			p.flush()
		}
		p.endPart()
		p.boundaries = p.boundaries[:i+1]
		if strings.HasPrefix(rest, "--") {
			p.boundaries = p.boundaries[:i]
			p.part = part{}
			p.inHeaders = false
			return true
		}
		p.part = part{text: true}
		p.inHeaders, p.field = true, nil
		return true
	}
	return false
}

func (p *Parser) headerLine(line []byte) {
	if len(line) == 0 {
		p.flush()
		p.begin()
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		if len(p.field) > 0 {
			if len(p.field) < maxHeader {
				p.field = append(append(p.field, ' '), bytes.TrimLeft(line, " \t")...)
			} else {
				p.h.Event(LongHeaderValue)
			}
		}
		return
	}
	p.flush()
	if len(line) > maxHeader {
		p.h.Event(LongHeaderValue)
		line = line[:maxHeader]
	}
	p.field = append(p.field[:0], line...)
}

// flush takes the header that is whole now.
func (p *Parser) flush() {
	if len(p.field) == 0 {
		return
	}
	name, value, ok := bytes.Cut(p.field, []byte(":"))
	p.field = p.field[:0]
	if p.headers++; !ok || p.headers > maxHeaders {
		p.h.Event(Malformed)
		return
	}
	h := Header{string(bytes.TrimSpace(name)), string(bytes.TrimSpace(value))}
	if len(h.Name) > 50 {
		p.h.Event(LongHeaderName)
	}
	if p.part.top {
		p.h.Header(h)
	}
	switch strings.ToLower(h.Name) {
	case "content-type":
		p.contentType(h.Value)
	case "content-disposition":
		if name := parameter(h.Value, "filename"); name != "" {
			p.part.file = name
		}
	case "content-transfer-encoding":
		v := strings.ToLower(h.Value)
		switch {
		case strings.Contains(v, "base64"):
			p.part.encoding = base64
		case strings.Contains(v, "quoted-printable"):
			p.part.encoding = quoted
		}
	}
}

func (p *Parser) contentType(v string) {
	kind, _, _ := strings.Cut(v, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	p.part.text = kind == "" || strings.HasPrefix(kind, "text/")
	p.part.nested = kind == "message/rfc822"
	if name := parameter(v, "name"); name != "" && p.part.file == "" {
		p.part.file = name
	}
	if strings.HasPrefix(kind, "multipart/") {
		b := parameter(v, "boundary")
		if len(b) > maxBoundary {
			p.h.Event(LongBoundary)
			b = ""
		}
		p.part.boundary = b
	}
}

// begin starts a part's body.
func (p *Parser) begin() {
	p.inHeaders = false
	p.carry, p.newline = nil, false
	switch {
	case p.part.boundary != "" && len(p.boundaries) < maxDepth:
		p.boundaries = append(p.boundaries, p.part.boundary)
		p.part = part{}
	case p.part.nested:
		// A message within begins with headers of its own. What is named is a file as well.
		if p.part.file != "" {
			p.h.OpenFile(p.part.file)
			p.h.CloseFile()
		}
		p.part = part{text: true}
		p.inHeaders = true
	case p.part.file != "":
		p.h.OpenFile(p.part.file)
		p.part.open = true
	}
}

func (p *Parser) body(b, bare []byte) {
	switch p.part.encoding {
	case base64:
		p.base64(bare)
	case quoted:
		soft := bytes.HasSuffix(bytes.TrimRight(bare, " \t"), []byte("="))
		out := p.quoted(bare)
		if p.newline {
			p.write([]byte("\r\n"))
		}
		p.newline = !soft
		p.write(out)
	default:
		// The line's end is the part's only if no boundary follows.
		if p.newline {
			p.write([]byte("\r\n"))
		}
		p.newline = len(bare) < len(b)
		p.write(bare)
	}
}

func (p *Parser) write(b []byte) {
	if len(b) == 0 {
		return
	}
	switch {
	case p.part.open:
		p.h.WriteFile(b)
	case p.part.text:
		p.h.Text(b)
	}
}

func (p *Parser) endPart() {
	if p.part.encoding == base64 && len(p.carry) > 1 {
		p.write(group(p.carry))
	}
	p.carry, p.newline = nil, false
	if p.part.open {
		p.h.CloseFile()
	}
	p.part = part{}
}

// base64 decodes a line; characters that are none of the alphabet's are skipped.
func (p *Parser) base64(line []byte) {
	out := make([]byte, 0, len(line))
	odd := false
	for _, c := range line {
		switch {
		case c == '=':
			if len(p.carry) > 1 {
				out = append(out, group(p.carry)...)
			}
			p.carry = p.carry[:0]
		case sextet(c) < 64:
			p.carry = append(p.carry, c)
			if len(p.carry) == 4 {
				out = append(out, group(p.carry)...)
				p.carry = p.carry[:0]
			}
		case c != ' ' && c != '\t':
			odd = true
		}
	}
	if odd {
		p.h.Event(InvalidBase64)
	}
	p.write(out)
}

func sextet(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return 255
}

// group decodes two to four characters.
func group(b []byte) []byte {
	var v uint32
	for i := range 4 {
		v <<= 6
		if i < len(b) {
			v |= uint32(sextet(b[i]))
		}
	}
	return []byte{byte(v >> 16), byte(v >> 8), byte(v)}[:len(b)-1]
}

func (p *Parser) quoted(line []byte) []byte {
	line = bytes.TrimRight(line, " \t")
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		if line[i] != '=' {
			out = append(out, line[i])
			continue
		}
		if i+1 == len(line) {
			break
		}
		if i+2 < len(line) {
			h, ok1 := hex(line[i+1])
			l, ok2 := hex(line[i+2])
			if ok1 && ok2 {
				out = append(out, h<<4|l)
				i += 2
				continue
			}
		}
		p.h.Event(InvalidQP)
		out = append(out, '=')
	}
	return out
}

func hex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
