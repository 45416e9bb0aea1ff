// Package smtp owns mail on its way (RFC 5321): commands, replies, and of each message
// what package mime finds in it. A transaction is a mail.
package smtp

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/mime"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

const (
	maxLine = 4096 // of commands and replies
	maxURLs = 256
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"smtp.command_line", "smtp.data", "smtp.response_line"}, Kinds: []string{
		"email.from", "email.to", "email.cc", "email.subject", "email.date", "email.message_id", "email.x_mailer", "email.url",
		"email.received", "email.body_md5", "smtp.helo", "smtp.mail_from", "smtp.rcpt_to", "file.data", "file.name",
	}}
}

type mode uint8

const (
	commands mode = iota
	dataAsked
	inData
	inChunk
)

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	pending  [2]tx.Pending
	skipping [2]bool
	t        *tx.Plain
	mode     mode
	helo     string
	waiting  []string // commands without a reply
	left     int      // of a chunk
	last     bool     // chunk
	changed  bool
	welcomed bool
	mail     *mime.Parser
	file     *tx.File
	files    uint32
	urls     int
	text     []byte // of the body, the end of which may be part of a URL
	sum      hash.Hash
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("smtp"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits)}
}

// Change says that TLS was agreed upon.
func (p *Parser) Change() (to rule.Protocol, rest [2][]byte, ok bool) {
	if !p.changed {
		return 0, rest, false
	}
	return tx.Proto("tls"), [2][]byte{p.pending[0].Join(nil), p.pending[1].Join(nil)}, true
}

func (p *Parser) transaction() *tx.Plain {
	if p.t == nil {
		p.t = &tx.Plain{Key: "smtp"}
		if !p.Full() {
			p.Add(p.t)
		}
		if p.helo != "" {
			p.t.Field("helo", p.helo)
			p.t.Put(tx.ToServer, "smtp.helo", []byte(p.helo))
		}
	}
	return p.t
}

// Gap ends what a mail carries.
func (p *Parser) Gap(dir tx.Direction, n int) {
	if dir == tx.ToServer && p.file != nil {
		p.file.Close(tx.FileTruncated)
		p.file = nil
	}
	p.PlainList.Gap(dir, n)
}

// Close ends what is open.
func (p *Parser) Close(dir tx.Direction) {
	if dir == tx.ToServer && p.mode == inData && p.mail != nil {
		p.mail.Close()
		p.mail = nil
	}
	p.PlainList.Close(dir)
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) > 0 && !p.changed {
		if dir == tx.ToServer && p.mode == inChunk {
			n := min(p.left, len(b))
			p.chunk(b[:n])
			b = b[n:]
			continue
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if len(b) <= maxLine {
				break
			}
			p.long(dir, b)
			b = nil
			break
		}
		line := b[:i+1]
		b = b[i+1:]
		if p.skipping[dir] && !(dir == tx.ToServer && p.mode == inData) {
			p.skipping[dir] = false
			continue
		}
		p.skipping[dir] = false
		if dir == tx.ToServer {
			p.client(line)
		} else {
			p.server(line)
		}
	}
	p.pending[dir].Keep(b)
}

// long takes the beginning of a line that does not end.
func (p *Parser) long(dir tx.Direction, b []byte) {
	switch {
	case dir == tx.ToServer && p.mode == inData:
		p.mailLine(b)
	case dir == tx.ToServer:
		p.transaction().Event("max_command_line_len_exceeded")
		p.skipping[dir] = true
	default:
		p.transaction().Event("max_reply_line_len_exceeded")
		p.skipping[dir] = true
	}
}

func (p *Parser) client(line []byte) {
	if p.mode == inData {
		if bytes.Equal(bytes.TrimRight(line, "\r\n"), []byte(".")) {
			p.endMail()
			p.waiting = append(p.waiting, ".")
			return
		}
		if line[0] == '.' && len(line) > 1 && line[1] == '.' {
			line = line[1:]
		}
		p.mailLine(line)
		return
	}
	p.Note(tx.ToServer, "command_line", line)
	text := string(bytes.TrimRight(line, "\r\n"))
	verb, rest, _ := strings.Cut(text, " ")
	verb = strings.ToUpper(strings.TrimSpace(verb))
	if len(p.waiting) > 256 {
		p.waiting = p.waiting[1:]
	}
	p.waiting = append(p.waiting, verb)
	switch verb {
	case "HELO", "EHLO":
		p.helo = strings.TrimSpace(rest)
		if p.t == nil {
			p.transaction()
		} else {
			p.t.Field("helo", p.helo)
			p.t.Put(tx.ToServer, "smtp.helo", []byte(p.helo))
		}
	case "MAIL":
		if p.t != nil && p.t.Has(tx.ToServer, "smtp.mail_from") {
			p.finish()
		}
		t := p.transaction()
		from := address(rest)
		t.Put(tx.ToServer, "smtp.mail_from", []byte(from))
		t.Field("mail_from", from)
	case "RCPT":
		t := p.transaction()
		to := address(rest)
		t.Put(tx.ToServer, "smtp.rcpt_to", []byte(to))
		list, _ := t.Fields["rcpt_to"].([]string)
		if len(list) < 64 {
			t.Field("rcpt_to", append(list, to))
		}
	case "DATA":
		p.transaction()
		p.mode = dataAsked
		if p.Lost[tx.ToClient] {
			p.startMail()
		}
	case "BDAT":
		p.bdat(rest)
	case "RSET":
		p.finish()
	default:
		p.transaction()
	}
	if p.mode == dataAsked && verb != "DATA" {
		// The mail itself, sent before the answer.
		p.startMail()
		p.waiting = p.waiting[:len(p.waiting)-1]
		p.mailLine(line)
	}
}

func (p *Parser) bdat(rest string) {
	size, last, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseUint(size, 10, 31)
	if err != nil {
		p.transaction().Event("bdat_chunk_len_exceeded")
		return
	}
	p.transaction()
	if p.mail == nil {
		p.beginMime()
	}
	p.mode, p.left, p.last = inChunk, int(n), strings.EqualFold(strings.TrimSpace(last), "LAST")
	p.chunk(nil)
}

func (p *Parser) chunk(b []byte) {
	p.left -= len(b)
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n') + 1
		if i == 0 {
			i = len(b)
		}
		p.mailLine(b[:i])
		b = b[i:]
	}
	if p.left == 0 {
		p.mode = commands
		if p.last {
			p.endMail()
		}
	}
}

// address is what stands after the colon, without its angle brackets.
func address(s string) string {
	_, a, ok := strings.Cut(s, ":")
	if !ok {
		a = s
	}
	a = strings.TrimSpace(a)
	if i := strings.IndexByte(a, '>'); strings.HasPrefix(a, "<") && i > 0 {
		return a[:i+1]
	}
	a, _, _ = strings.Cut(a, " ")
	return a
}

func (p *Parser) server(line []byte) {
	p.Note(tx.ToClient, "response_line", line)
	if len(line) < 4 || line[0] < '0' || line[0] > '9' {
		p.transaction().Event("invalid_reply")
		return
	}
	if line[3] == '-' {
		return // more lines of this reply follow
	}
	code := string(line[:3])
	if len(p.waiting) == 0 {
		if !p.welcomed {
			p.welcomed = true
			if code != "220" && code != "554" && code != "421" {
				p.transaction().Event("no_server_welcome_message")
			}
			return
		}
		if code != "421" {
			p.transaction().Event("unable_to_match_reply_with_request")
		}
		return
	}
	p.welcomed = true
	verb := p.waiting[0]
	p.waiting = p.waiting[1:]
	switch verb {
	case "STARTTLS":
		if code == "220" {
			p.finish()
			p.changed = true
		} else {
			p.transaction().Event("tls_rejected")
		}
	case "DATA":
		if code == "354" {
			if p.mode == dataAsked {
				p.startMail()
			}
		} else {
			p.transaction().Event("data_command_rejected")
			if p.mode == dataAsked {
				p.mode = commands
			}
		}
	case ".", "QUIT":
		p.finish()
	}
}

func (p *Parser) finish() {
	if p.t == nil {
		return
	}
	p.t.End()
	p.t = nil
}

func (p *Parser) startMail() {
	p.mode = inData
	p.beginMime()
}

func (p *Parser) beginMime() {
	p.transaction()
	p.mail, p.urls, p.text, p.sum = mime.New(handler{p}), 0, nil, md5.New()
}

func (p *Parser) mailLine(line []byte) {
	if p.mail == nil {
		p.beginMime()
	}
	p.Grow(tx.ToServer, "data", line)
	p.mail.Line(line)
}

func (p *Parser) endMail() {
	p.mode = commands
	p.Finish(tx.ToServer)
	if p.mail != nil {
		p.mail.Close()
		p.findURLs(true)
		p.mail = nil
		p.t.Put(tx.ToServer, "email.body_md5", hex.AppendEncode(nil, p.sum.Sum(nil)))
	}
	p.t.Ended[tx.ToServer] = true
}
