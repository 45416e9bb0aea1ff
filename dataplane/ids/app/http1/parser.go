// Package http1 owns HTTP/1.0 and 1.1 as receivers read it, not as the standard
// asks for: lines ended by either character, bodies whose length is said twice
// or wrongly, encodings stacked or misnamed. The reading follows libhtp's, which is
// what the Suricata manual describes for its http.* keywords.
//
// A transaction is a request with its response. Each side is parsed by itself;
// responses belong to requests in order.
package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

var protocol = tx.Proto("http1")

// Parser parses one connection.
type Parser struct {
	tx.FrameLog
	limits tx.Limits
	list   tx.List[*Transaction]
	sides  [2]side
	files  uint32
	// tunnel is set when both sides speak something else from here on.
	tunnel  bool
	changed rule.Protocol
	spare   []*Transaction // for the next ones
}

type state uint8

const (
	startLine state = iota
	afterLine       // a request line without a version: headers may follow
	headers
	identity  // left bytes of body
	untilEnd  // body until the side closes
	chunkSize // the line before a chunk
	chunkData
	chunkEnd
	trailers
	junk     // a line that is no status line: body, browsers say
	finalize // the message ought to be over, but has it ended?
	waiting  // CONNECT or an upgrade: the answer decides
	dead
)

// side is one direction.
type side struct {
	state   state
	next    state // after junk
	pending tx.Pending
	tx      *Transaction
	left    uint64
	field   []byte // header line not finished: it may be folded
	has     bool
	afterLF bool
	lfcr    bool
	closed  bool
	torn    bool // bytes of the message are missing: it is no frame
	chunks  int
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{limits: limits.Filled(), FrameLog: tx.NewFrameLog(limits)}
}

func (p *Parser) Protocol() rule.Protocol        { return protocol }
func (p *Parser) Begin(id uint64)                { p.list.Begin(id) }
func (p *Parser) Count() uint64                  { return p.list.Count() }
func (p *Parser) Transactions() []tx.Transaction { return p.list.Transactions() }

func (p *Parser) Done() tx.Done {
	if p.sides[0].state == dead && p.sides[1].state == dead {
		return tx.GaveUp
	}
	return tx.NotDone
}

// Change says that the connection speaks another protocol from here on: which one
// is expected, and what has been said of it. Of CONNECT it is TLS.
func (p *Parser) Change() (to rule.Protocol, rest [2][]byte, ok bool) {
	if !p.tunnel {
		return 0, rest, false
	}
	for dir := range p.sides {
		rest[dir] = p.sides[dir].pending.Join(nil)
	}
	return p.changed, rest, true
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	s := &p.sides[dir]
	if s.state == dead {
		return
	}
	if p.tunnel {
		s.pending.Keep(s.pending.Join(data))
		return
	}
	b := s.pending.Join(data)
	b = p.run(dir, b)
	if s.state == dead {
		s.pending.Drop()
		return
	}
	if len(b) > p.limits.HeaderBytes && s.state != waiting {
		p.current(dir).Event([]string{"request_field_too_long", "response_field_too_long"}[dir])
		p.kill(dir)
		return
	}
	if len(b) > 1<<16 {
		p.kill(dir)
		return
	}
	s.pending.Keep(b)
	if dir == tx.ToClient && p.sides[tx.ToServer].state == waiting {
		p.decide()
	}
}

// run takes what can be taken of b and gives the rest.
func (p *Parser) run(dir tx.Direction, b []byte) []byte {
	for len(b) > 0 && !p.tunnel && p.sides[dir].state != dead {
		t := p.sides[dir].tx
		n, more := p.step(dir, b)
		if p.limits.Frames && n > 0 {
			if t == nil {
				t = p.sides[dir].tx
			}
			if t != nil && !p.sides[dir].torn {
				p.Grow(dir, []string{"request", "response"}[dir], b[:n])
			}
			if p.sides[dir].tx == nil {
				p.sides[dir].torn = false
				p.Finish(dir)
			}
		}
		b = b[n:]
		if !more {
			break
		}
	}
	return b
}

// step takes a piece of b; more is false when it needs more bytes than there are.
func (p *Parser) step(dir tx.Direction, b []byte) (n int, more bool) {
	s := &p.sides[dir]
	switch s.state {
	case startLine:
		if dir == tx.ToServer {
			return p.requestLine(b)
		}
		return p.statusLine(b)
	case afterLine:
		return p.versionMissing(b)
	case headers, trailers:
		return p.headerLine(dir, b)
	case identity:
		n := int(min(s.left, uint64(len(b))))
		s.left -= uint64(n)
		s.tx.body(dir, b[:n])
		if s.left == 0 {
			if s.tx.message(dir).doubtful {
				s.state = finalize
				return n, true
			}
			p.endMessage(dir)
		}
		return n, true
	case untilEnd:
		s.tx.body(dir, b)
		return len(b), true
	case chunkSize:
		return p.chunkLine(dir, b)
	case chunkData:
		n := int(min(s.left, uint64(len(b))))
		s.left -= uint64(n)
		s.tx.body(dir, b[:n])
		if s.left == 0 {
			s.state = chunkEnd
		}
		return n, true
	case chunkEnd:
		// Whatever stands between a chunk and the line's end is nobody's.
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return len(b), true
		}
		s.state = chunkSize
		return i + 1, true
	case junk:
		i := bytes.IndexByte(b, '\n')
		n := i + 1
		if i < 0 {
			n = len(b)
		}
		if s.tx != nil {
			s.tx.body(dir, b[:n])
		}
		if i < 0 {
			return n, true
		}
		s.state = s.next
		return i + 1, true
	case finalize:
		return p.final(dir, b)
	case waiting:
		return 0, false
	}
	return len(b), true
}

// current is the transaction of a direction, made if there is none.
func (p *Parser) current(dir tx.Direction) *Transaction {
	s := &p.sides[dir]
	if s.tx == nil {
		if dir == tx.ToClient {
			s.tx = p.answering()
		} else {
			s.tx = p.open()
		}
	}
	return s.tx
}

// open begins a transaction. Where there are too many the connection is given up: what is
// returned is none of its own, for the caller to see that it is dead.
func (p *Parser) open() *Transaction {
	if len(p.list.All()) >= p.limits.Transactions {
		p.kill(tx.ToServer)
		p.kill(tx.ToClient)
		return &Transaction{p: p}
	}
	if n := len(p.spare); n > 0 {
		t := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return p.list.Add(t)
	}
	return p.list.Add(&Transaction{p: p})
}

// answering is the oldest request without its response.
func (p *Parser) answering() *Transaction {
	for _, t := range p.list.All() {
		if !t.Ended[tx.ToClient] {
			return t
		}
	}
	t := p.open()
	t.Event("unable_to_match_response_to_request")
	t.Ended[tx.ToServer] = true
	t.request.headersDone = true
	t.request.raw = nil
	return t
}

// kill gives a direction up.
func (p *Parser) kill(dir tx.Direction) {
	s := &p.sides[dir]
	s.state = dead
	s.pending.Drop()
	if s.tx != nil {
		s.tx.end(dir, tx.FileTruncated)
		s.tx = nil
	}
}

// endMessage finishes a direction's message and is ready for the next.
func (p *Parser) endMessage(dir tx.Direction) {
	s := &p.sides[dir]
	t := s.tx
	s.tx, s.state, s.afterLF, s.lfcr = nil, startLine, false, false
	if dir == tx.ToServer {
		t.end(dir, tx.FileClosed)
		if t.connect || len(t.upgrade) > 0 && !t.Ended[tx.ToClient] {
			s.state = waiting
			if t.response.headersDone {
				p.decide()
			}
		}
		return
	}
	t.end(dir, tx.FileClosed)
}

// decide looks at the answer to a CONNECT or an upgrade.
func (p *Parser) decide() {
	s := &p.sides[tx.ToServer]
	for _, t := range p.list.All() {
		if (t.connect || len(t.upgrade) > 0) && t.Ended[tx.ToServer] && !t.decided {
			if !t.response.headersDone || t.response.status == 100 {
				return
			}
			t.decided = true
		}
	}
	s.state = startLine
	if !p.tunnel {
		rest := p.run(tx.ToServer, s.pending.Join(nil))
		if s.state != dead {
			s.pending.Keep(rest)
		}
	}
}

// Gap says that n bytes are lost. Within a body that is the file's damage; elsewhere
// nothing that follows can be placed.
func (p *Parser) Gap(dir tx.Direction, n int) {
	s := &p.sides[dir]
	switch s.state {
	case identity, chunkData:
		if uint64(n) < s.left {
			s.left -= uint64(n)
			s.tx.gap(dir)
			return
		}
		if uint64(n) == s.left && s.state == identity {
			s.left = 0
			s.tx.gap(dir)
			p.endMessage(dir)
			return
		}
	case untilEnd:
		s.tx.gap(dir)
		return
	case startLine, headers:
		if n <= maxLost && s.pending.Len() > 0 {
			// The line goes on without them, as where they were never sent. A frame is what was
			// sent, in one piece: this is none.
			s.torn = true
			p.Discard(dir)
			return
		}
	}
	p.kill(dir)
}

// maxLost is how many bytes a line may lack: what urgent data that is dropped leaves out.
const maxLost = 16

// Close says that no more comes of a direction.
func (p *Parser) Close(dir tx.Direction) {
	s := &p.sides[dir]
	if s.closed || s.state == dead {
		return
	}
	s.closed = true
	if p.tunnel {
		return
	}
	rest := p.run(dir, s.pending.Join(nil))
	if len(rest) > 0 && dir == tx.ToClient {
		switch s.state {
		case startLine:
			if !looksLikeStatus(rest) && len(p.list.All()) > 0 {
				p.current(dir).body(dir, rest)
			}
		case chunkSize:
			s.tx.body(dir, rest)
		case headers:
			// A last line without an end.
			p.run(dir, append(append([]byte(nil), rest...), "\r\n"...))
		}
	}
	if s.state == headers && dir == tx.ToClient && s.tx != nil {
		// What there is of them is all there will be.
		p.finishHeaders(dir)
	}
	s.pending.Drop()
	p.Finish(dir)
	if t := s.tx; t != nil && s.state != dead {
		how := tx.FileTruncated
		if s.state == untilEnd || s.state == junk || s.state == finalize {
			how = tx.FileClosed
		}
		t.end(dir, how)
		s.tx = nil
	}
	if dir == tx.ToClient {
		for _, t := range p.list.All() {
			if t.Ended[tx.ToServer] && !t.Ended[tx.ToClient] {
				t.end(tx.ToClient, tx.FileTruncated)
			}
		}
	}
}

// Free forgets the transactions before id, and gives back what their bodies were kept in.
func (p *Parser) Free(id uint64) {
	var room [8]*Transaction
	gone := room[:0]
	for _, t := range p.list.All() {
		if t.ID() >= id {
			break
		}
		if t == p.sides[0].tx || t == p.sides[1].tx {
			t.release()
			continue
		}
		gone = append(gone, t)
	}
	p.list.Free(id)
	for _, t := range gone {
		p.forget(t)
	}
}

// spareTransactions bounds those that a parser keeps for the next requests.
const spareTransactions = 4

// forget takes a transaction back that nobody knows any more.
func (p *Parser) forget(t *Transaction) {
	if len(p.spare) < spareTransactions {
		t.renew()
		p.spare = append(p.spare, t)
	} else {
		t.release()
	}
}

// Forget gives back what the connection, which is over, was kept in. The parser is of no use
// until Renew.
func (p *Parser) Forget() {
	all := p.list.All()
	for i := range p.sides {
		p.sides[i].tx = nil
	}
	for _, t := range all {
		p.forget(t)
	}
	p.list.Renew()
}

// Renew makes it the parser of another connection.
func (p *Parser) Renew(limits tx.Limits) {
	p.limits, p.FrameLog = limits.Filled(), tx.NewFrameLog(limits)
	p.files, p.tunnel, p.changed = 0, false, 0
	for i := range p.sides {
		s := &p.sides[i]
		s.pending.Drop()
		*s = side{pending: s.pending, field: emptied(s.field)}
	}
}
