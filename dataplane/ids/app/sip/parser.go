// Package sip owns SIP (RFC 3261) over UDP and TCP, and the session description
// (RFC 4566) in a message's body. Each message is a transaction of its own.
package sip

import (
	"bytes"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

const maxMessage = 64 << 10

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"sip.pdu", "sip.request.line", "sip.request.headers", "sip.request.body", "sip.response.line", "sip.response.headers", "sip.response.body"}, Kinds: []string{
		"sip.method", "sip.uri", "sip.request_line", "sip.stat_code", "sip.stat_msg", "sip.response_line", "sip.protocol", "sip.from", "sip.to",
		"sip.via", "sip.ua", "sip.content_type", "sip.content_length", "sdp.session_name", "sdp.session_info", "sdp.origin", "sdp.uri",
		"sdp.email", "sdp.phone_number", "sdp.connection_data", "sdp.bandwidth", "sdp.time", "sdp.repeat_time", "sdp.timezone",
		"sdp.encryption_key", "sdp.attribute", "sdp.media.media", "sdp.media.session_info", "sdp.media.connection_data",
		"sdp.media.encryption_key",
	}}
}

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	datagrams bool
	pending   [2]tx.Pending
	at        [2]uint64 // of the stream
}

// New makes a parser.
func New(datagrams bool, limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("sip"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits), datagrams: datagrams}
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	if p.datagrams {
		p.message(dir, data, 0)
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) > 0 {
		if b[0] == '\r' || b[0] == '\n' { // kept alive
			b = b[1:]
			p.at[dir]++
			continue
		}
		n := messageSize(b)
		if n == 0 || n > len(b) {
			break
		}
		p.message(dir, b[:n], p.at[dir])
		p.at[dir] += uint64(n)
		b = b[n:]
	}
	if len(b) > maxMessage {
		p.Lost[dir] = true
		p.pending[dir].Drop()
		return
	}
	p.pending[dir].Keep(b)
}

// messageSize is the length of the message that b begins with, 0 if it is not known.
func messageSize(b []byte) int {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0
	}
	n := end + 4
	for line := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if key := strings.ToLower(string(bytes.TrimSpace(name))); ok && (key == "content-length" || key == "l") {
			if v, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil && v >= 0 && v < maxMessage {
				n += v
			}
		}
	}
	return n
}

// headerKinds are headers with a buffer, and their short forms (RFC 3261 section 7.3.3).
var headerKinds = map[string]string{
	"from": "sip.from", "f": "sip.from", "to": "sip.to", "t": "sip.to", "via": "sip.via", "v": "sip.via", "user-agent": "sip.ua",
	"content-type": "sip.content_type", "c": "sip.content_type", "content-length": "sip.content_length", "l": "sip.content_length",
}

func (p *Parser) message(dir tx.Direction, b []byte, at uint64) {
	head, body, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	t := p.Message("sip")
	t.Side(dir)
	first, more, ok := bytes.Cut(line, []byte(" "))
	second, third, _ := bytes.Cut(more, []byte(" "))
	if !ok {
		t.Event("invalid_data")
		return
	}
	side := "request"
	p.Note(dir, "pdu", b)
	if bytes.HasPrefix(first, []byte("SIP/")) {
		side = "response"
		t.Put(dir, "sip.protocol", first)
		t.Put(dir, "sip.stat_code", second)
		t.Put(dir, "sip.stat_msg", third)
		t.Put(dir, "sip.response_line", line)
		t.Field("code", string(second))
		t.Field("reason", string(third))
		t.Field("version", string(first))
		t.Field("response_line", string(line))
	} else {
		t.Put(dir, "sip.method", first)
		t.Put(dir, "sip.uri", second)
		t.Put(dir, "sip.protocol", third)
		t.Put(dir, "sip.request_line", line)
		t.Field("method", string(first))
		t.Field("uri", string(second))
		t.Field("version", string(third))
		t.Field("request_line", string(line))
	}
	p.Note(dir, side+".line", b[:min(len(b), len(line)+2)])
	if len(rest) > 0 {
		begin := len(line) + 2
		p.Note(dir, side+".headers", b[begin:min(len(b), len(head)+2)])
	}
	isSDP := false
	for header := range bytes.SplitSeq(rest, []byte("\r\n")) {
		name, value, ok := bytes.Cut(header, []byte(":"))
		if !ok {
			continue
		}
		value = bytes.TrimSpace(value)
		key := strings.ToLower(string(bytes.TrimSpace(name)))
		if kind := headerKinds[key]; kind != "" {
			t.Put(dir, kind, value)
			isSDP = isSDP || kind == "sip.content_type" && bytes.HasPrefix(bytes.ToLower(value), []byte("application/sdp"))
		}
	}
	if len(body) > 0 {
		p.Note(dir, side+".body", body)
		if isSDP {
			description(t, dir, body)
		}
	}
}

// lines of a description: of the session, and of the media that follow it.
var sessionLines = map[byte]string{
	's': "sdp.session_name", 'i': "sdp.session_info", 'o': "sdp.origin", 'u': "sdp.uri", 'e': "sdp.email", 'p': "sdp.phone_number",
	'c': "sdp.connection_data", 'b': "sdp.bandwidth", 't': "sdp.time", 'r': "sdp.repeat_time", 'z': "sdp.timezone",
	'k': "sdp.encryption_key", 'a': "sdp.attribute",
}

var mediaLines = map[byte]string{
	'i': "sdp.media.session_info", 'c': "sdp.media.connection_data", 'b': "sdp.bandwidth", 'k': "sdp.media.encryption_key", 'a': "sdp.attribute",
}

func description(t *tx.Plain, dir tx.Direction, b []byte) {
	lines := sessionLines
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		line = bytes.TrimRight(line, "\r")
		if len(line) < 2 || line[1] != '=' {
			continue
		}
		if line[0] == 'm' {
			lines = mediaLines
			t.Put(dir, "sdp.media.media", line[2:])
		} else if kind := lines[line[0]]; kind != "" {
			t.Put(dir, kind, line[2:])
		}
	}
}
