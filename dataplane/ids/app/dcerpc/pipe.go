package dcerpc

import "ngfw.sh/dataplane/ids/app/tx"

// Pipe is RPC that another protocol carries: a named pipe of SMB. Its transactions are
// the carrier's, as are the interfaces, which its pipes share.
type Pipe struct {
	Interfaces *Interfaces
	// Open makes a transaction in the carrier's list, or nil when there are too many.
	Open func() *tx.Plain

	pending [2]tx.Pending
	calls   map[uint32]*open
	broken  [2]bool
}

// Feed takes what was written to the pipe or read from it.
func (p *Pipe) Feed(dir tx.Direction, data []byte) {
	if p.broken[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= HeaderSize {
		h, ok := ParseHeader(b)
		if !ok {
			p.broken[dir] = true
			p.pending[dir].Drop()
			return
		}
		if len(b) < h.Size {
			break
		}
		p.packet(dir, h, b[HeaderSize:h.Size])
		b = b[h.Size:]
	}
	p.pending[dir].Keep(b)
}

func (p *Pipe) packet(dir tx.Direction, h Header, b []byte) {
	switch h.Type {
	case Bind, AlterContext:
		p.Interfaces.Bind(h, b)
		return
	case BindAck, AlterAck:
		p.Interfaces.Answer(h, b)
		return
	case Request, Response, Fault:
	default:
		return
	}
	c := p.calls[h.Call]
	if c == nil {
		t := p.Open()
		if t == nil || len(p.calls) > 4096 {
			return
		}
		c = &open{Call: Call{ID: h.Call}, t: t}
		t.Match = func(keyword string, args []string, _ tx.Direction) (bool, bool) {
			return c.Words(p.Interfaces, keyword, args)
		}
		if p.calls == nil {
			p.calls = map[uint32]*open{}
		}
		p.calls[h.Call] = c
	}
	if h.Type != Fault {
		c.Part(h, b, c.t, dir)
	}
	switch {
	case h.Type == Request:
		c.t.Ended[tx.ToServer] = h.Last()
	case h.Last() || h.Type == Fault:
		c.t.Ended = [2]bool{true, true}
		delete(p.calls, h.Call)
	}
}
