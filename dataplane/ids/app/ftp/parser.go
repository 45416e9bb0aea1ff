// Package ftp owns FTP's control connection (RFC 959): commands with their replies,
// and which data connections they announce. The data connections are this
// package's too (Data): a flow that is a file.
package ftp

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

const maxLine = 4096 // Suricata's ftp.max-line-length

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{
		Kinds:    []string{"ftp.command", "ftp.command_data", "ftp.reply", "ftp.completion_code"},
		Keywords: []string{"ftpbounce", "ftp.mode", "ftp.reply_received", "ftp.dynamic_port"},
	}
}

// Expected is a data connection that was announced.
type Expected struct {
	Port int
	// Addr is where it goes to, if the command said so.
	Addr netip.Addr
	// ToClient says that the server opens it (active mode).
	ToClient bool
	Name     string // of the file
	Command  string // retr or stor, lower case
}

// Parser parses one control connection.
type Parser struct {
	tx.PlainList
	pending [2]tx.Pending
	tooLong [2]bool
	at      *tx.Plain // the command that waits for its reply
	mode    *Expected
	queue   []Expected
	tls     bool
	changed bool
	tooMany bool
	// Peer is the client's address, if the engine sets it; ftpbounce needs it.
	Peer netip.Addr
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("ftp"), Limits: limits.Filled()}}
}

// SetPeer says who the client is.
func (p *Parser) SetPeer(a netip.Addr) { p.Peer = a }

// TakeExpected gives away the data connections announced since the last call.
func (p *Parser) TakeExpected() []Expected {
	q := p.queue
	p.queue = nil
	return q
}

// Change says that TLS was agreed upon.
func (p *Parser) Change() (to rule.Protocol, rest [2][]byte, ok bool) {
	if !p.changed {
		return 0, rest, false
	}
	return tx.Proto("tls"), [2][]byte{p.pending[0].Join(nil), p.pending[1].Join(nil)}, true
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) > 0 && !p.changed {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if len(b) <= maxLine {
				break
			}
			// The line's beginning is taken; its rest goes by.
			if !p.tooLong[dir] {
				p.line(dir, b[:maxLine], true)
			}
			p.tooLong[dir] = true
			b = nil
			break
		}
		line := b[:i+1]
		b = b[i+1:]
		if p.tooLong[dir] {
			p.tooLong[dir] = false
			continue
		}
		p.line(dir, line[:min(len(line), maxLine)], len(line) > maxLine)
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) line(dir tx.Direction, b []byte, long bool) {
	b = bytes.TrimRight(b, "\r\n")
	if dir == tx.ToServer {
		p.command(b, long)
		return
	}
	p.reply(b, long)
}

func (p *Parser) command(b []byte, long bool) {
	name, data, _ := bytes.Cut(bytes.TrimLeft(b, " \t"), []byte(" "))
	verb := strings.ToUpper(string(name))
	if p.at != nil {
		// Pipelined: the one before has no reply yet, but nothing more of it is sent.
		p.at.Ended[tx.ToServer] = true
	}
	if p.Full() {
		if !p.tooMany && len(p.All()) > 0 {
			p.tooMany = true
			p.Last().Event("too_many_transactions")
		}
		return
	}
	t := p.Add(&tx.Plain{Key: "ftp"})
	p.at = t
	t.Put(tx.ToServer, "ftp.command", name)
	t.Field("command", string(name))
	if len(data) > 0 {
		t.Put(tx.ToServer, "ftp.command_data", data)
		t.Field("command_data", string(data))
	}
	if long {
		t.Event("request_command_too_long")
	}
	t.Ended[tx.ToServer] = true
	var mode string
	switch verb {
	case "PORT":
		if a, port, ok := six(data); ok {
			p.mode = &Expected{Port: port, Addr: a, ToClient: true}
			mode = "active"
		}
	case "EPRT":
		if a, port, ok := extended(data); ok {
			p.mode = &Expected{Port: port, Addr: a, ToClient: true}
			mode = "active"
		}
	case "RETR", "STOR":
		if p.mode != nil {
			e := *p.mode
			e.Name, e.Command = string(data), strings.ToLower(verb)
			if len(p.queue) < 64 {
				p.queue = append(p.queue, e)
			}
			t.Number(tx.ToServer, "ftp.dynamic_port", uint64(e.Port))
			p.mode = nil
		}
	case "AUTH":
		p.tls = strings.EqualFold(strings.TrimSpace(string(data)), "TLS") || strings.EqualFold(strings.TrimSpace(string(data)), "SSL")
	}
	announced := p.mode
	t.Match = func(keyword string, args []string, dir tx.Direction) (bool, bool) {
		switch keyword {
		case "ftpbounce":
			return dir == tx.ToServer && verb == "PORT" && announced != nil && p.Peer.IsValid() && announced.Addr != p.Peer, true
		case "ftp.mode":
			return mode != "" && len(args) == 1 && args[0] == mode, true
		case "ftp.reply_received":
			want := len(args) == 1 && (args[0] == "yes" || args[0] == "true" || args[0] == "on")
			return t.Has(tx.ToClient, "ftp.reply") == want, true
		}
		return false, false
	}
	if mode != "" {
		t.Field("mode", mode)
	}
}

func (p *Parser) reply(b []byte, long bool) {
	t := p.at
	if t == nil || t.Ended[tx.ToClient] {
		t = nil
		for _, open := range p.All() {
			if !open.Ended[tx.ToClient] {
				t = open
				break
			}
		}
		if t == nil {
			if p.Full() {
				return
			}
			t = p.Add(&tx.Plain{Key: "ftp"})
			t.Ended[tx.ToServer] = true
		}
	} else {
		for _, open := range p.All() {
			if !open.Ended[tx.ToClient] {
				t = open
				break
			}
		}
	}
	if long {
		t.Event("response_command_too_long")
	}
	code, text := b, []byte(nil)
	final := false
	if len(b) >= 3 && isCode(b[:3]) {
		code, text = b[:3], bytes.TrimLeft(b[3:], " -")
		final = len(b) == 3 || b[3] != '-'
		t.Put(tx.ToClient, "ftp.completion_code", code)
	} else {
		text = b
	}
	t.Put(tx.ToClient, "ftp.reply", text)
	if !final {
		return
	}
	switch string(code) {
	case "227":
		if i := bytes.IndexByte(text, '('); i >= 0 {
			if a, port, ok := six(text[i+1:]); ok {
				p.mode = &Expected{Port: port, Addr: a}
				t.Number(tx.ToServer, "ftp.dynamic_port", uint64(port))
			}
		}
	case "229":
		if i := bytes.Index(text, []byte("|||")); i >= 0 {
			digits, _, _ := bytes.Cut(text[i+3:], []byte("|"))
			if port, err := strconv.Atoi(string(digits)); err == nil && port > 0 && port < 65536 {
				p.mode = &Expected{Port: port}
				t.Number(tx.ToServer, "ftp.dynamic_port", uint64(port))
			}
		}
	case "234":
		p.changed = p.tls
	}
	if code[0] == '1' {
		return // a further reply comes
	}
	t.End()
	if t == p.at {
		p.at = nil
	}
}

func isCode(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// six reads "10,0,0,1,4,1"; what follows is ignored.
func six(b []byte) (netip.Addr, int, bool) {
	b = bytes.TrimLeft(b, " ")
	var v [6]int
	for i := range v {
		digits := 0
		for len(b) > 0 && b[0] >= '0' && b[0] <= '9' && digits < 3 {
			v[i] = v[i]*10 + int(b[0]-'0')
			b = b[1:]
			digits++
		}
		if digits == 0 || v[i] > 255 {
			return netip.Addr{}, 0, false
		}
		if i < 5 {
			if len(b) == 0 || b[0] != ',' {
				return netip.Addr{}, 0, false
			}
			b = b[1:]
		}
	}
	return netip.AddrFrom4([4]byte{byte(v[0]), byte(v[1]), byte(v[2]), byte(v[3])}), v[4]<<8 | v[5], true
}

// extended reads "|1|10.0.0.1|1025|" (RFC 2428).
func extended(b []byte) (netip.Addr, int, bool) {
	b = bytes.TrimSpace(b)
	if len(b) < 2 {
		return netip.Addr{}, 0, false
	}
	parts := strings.Split(string(b[1:]), string(b[:1]))
	if len(parts) < 3 {
		return netip.Addr{}, 0, false
	}
	a, err1 := netip.ParseAddr(parts[1])
	port, err2 := strconv.Atoi(parts[2])
	return a, port, err1 == nil && err2 == nil && port > 0 && port < 65536
}
