package stream

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

// State is that of a connection, named as in RFC 9293.
type State uint8

const (
	None State = iota
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	TimeWait
	LastAck
	CloseWait
	Closing
	Closed
)

var stateNames = [...]string{"none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2", "time_wait", "last_ack", "close_wait", "closing", "closed"}

func (s State) String() string { return stateNames[s] }

// Session is one connection.
type Session struct {
	cfg    *Config
	budget *Budget
	state  State
	half   [2]Half // by who sent: app.ToServer is what the client sent
	queue  []offer // other SYNs, or SYN/ACKs, of the handshake
	held   int     // of the budget

	Midstream bool
	async     bool
	fourWay   bool
	timestamp bool
	reset     bool // a RST closed it
	resetBy   app.Direction
	fastOpen  bool
	// Seen is every flag seen, by direction, for the log.
	Seen [2]uint8
}

// offer is a SYN or SYN/ACK that may turn out to be the one that counts.
type offer struct {
	seq, ack    uint32
	window      uint32
	wscale      int8
	sack, hasTS bool
	ts          uint32
	time        int64
}

// NewSession follows a connection.
func NewSession(cfg *Config, budget *Budget) *Session {
	budget.Counters.Sessions++
	var s *Session
	if n := len(budget.spare); n > 0 {
		s, budget.spare = budget.spare[n-1], budget.spare[:n-1]
	} else {
		s = &Session{}
	}
	*s = Session{cfg: cfg, budget: budget, half: s.half, queue: s.queue[:0]}
	for i := range s.half {
		s.half[i].renew(&budget.rooms)
	}
	return s
}

// State is how far the connection is.
func (s *Session) State() State { return s.state }

// Answer is what became of a packet.
type Answer struct {
	// Valid: the packet fits the connection. Inline, others are dropped.
	Valid bool
	// Drop: the packet must not pass whatever the configuration says of
	// invalid ones (inline).
	Drop bool
	// InStream: its payload is part of the stream.
	InStream bool
	// Changed: its payload was overwritten with what came first (inline).
	Changed bool
	// Picked: the connection was taken up without its beginning.
	Picked bool
	// Unknown: there is no connection, and none is begun by this packet.
	Unknown bool
	// Swap: the packet shows that client and server are the other way round.
	Swap bool
}

// Packet takes a packet. Its direction is by the flow's opinion of who is the
// client.
func (s *Session) Packet(p *packet.Packet, dir app.Direction, src, dst netip.Addr, ev *packet.Events) Answer {
	t := &p.TCP
	if t.Flags&packet.ACK == 0 && t.Ack != 0 {
		ev.Add(packet.StreamPktBrokenAck)
	}
	if t.Flags&(packet.SYN|packet.FIN) == packet.SYN|packet.FIN {
		ev.Add(packet.StreamFinSyn)
	}
	if s.state == None {
		return s.begin(p, dir, src, dst, ev)
	}
	c := &step{Session: s, p: p, dir: dir, ev: ev, mine: &s.half[dir], theirs: &s.half[dir.Other()], src: src, dst: dst}
	s.Seen[dir] |= t.Flags
	return c.run()
}

// step is one packet on its way through the state machine. Mine is the half that its
// sender writes.
type step struct {
	*Session
	p            *packet.Packet
	dir          app.Direction
	ev           *packet.Events
	mine, theirs *Half
	src, dst     netip.Addr
	answer       Answer
}

func (c *step) run() Answer {
	t := &c.p.TCP
	c.answer.Valid = true
	if t.Flags&packet.ACK == 0 && t.Flags&(packet.SYN|packet.RST|packet.FIN) == 0 {
		// Without ACK no connection goes on; Suricata follows it only where one
		// side is seen.
		if c.state >= Established && len(c.p.Payload) == 0 {
			return c.answer
		}
	}
	switch c.state {
	case SynSent:
		c.synSent()
	case SynReceived:
		c.synReceived()
	case Closed:
		c.closed()
	default:
		c.established()
	}
	if !c.answer.Valid {
		c.budget.Counters.Invalid++
	}
	return c.answer
}

func (c *step) invalid(e packet.Event) {
	if e != 0 {
		c.ev.Add(e)
	}
	c.answer.Valid = false
}

// begin takes up a connection.
func (s *Session) begin(p *packet.Packet, dir app.Direction, src, dst netip.Addr, ev *packet.Events) Answer {
	t := &p.TCP
	a := Answer{Valid: true}
	pick := s.cfg.Midstream
	s.Seen[dir] |= t.Flags
	switch {
	case t.Flags&packet.RST != 0:
		ev.Add(packet.StreamRstButNoSession)
		return Answer{Unknown: true}
	case t.Flags&packet.FIN != 0:
		if t.Flags&packet.SYN != 0 {
			return Answer{Unknown: true}
		}
		if !pick || len(p.Payload) == 0 {
			ev.Add(packet.StreamFinButNoSession)
			return Answer{Valid: true, Unknown: true}
		}
		a.Picked = true
		s.midstream(p, dir, src, dst)
	case t.Flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK:
		if !pick && !s.cfg.AsyncOneside {
			return Answer{Valid: true, Unknown: true}
		}
		// Who answers is the server, whatever the flow thinks.
		a.Picked = true
		if dir == app.ToServer {
			a.Swap = true
			dir = app.ToClient
			s.Seen[0], s.Seen[1] = s.Seen[1], s.Seen[0]
		}
		s.Midstream = true
		s.budget.Counters.Midstream++
		s.state = SynReceived
		server, client := &s.half[app.ToClient], &s.half[app.ToServer]
		s.start(server, t.Seq, dst)
		s.start(client, t.Ack-1, src)
		server.nextSeq = t.Seq + 1
		client.nextSeq, client.lastAck = t.Ack, t.Ack
		server.lastAck = t.Seq
		server.window = uint32(t.Window)
		server.wscale, client.wscale = scale(t, 14), 14
		client.nextWin = client.lastAck + server.window
		server.nextWin = server.lastAck + 0xffff
		s.stamp(server, p)
		s.timestamp = t.HasTimestamp
	case t.Flags&packet.SYN != 0:
		s.state = SynSent
		c := &s.half[dir]
		s.start(c, t.Seq, dst)
		c.nextSeq = t.Seq + 1
		c.window = uint32(t.Window)
		c.wscale = scale(t, 0)
		c.sack = t.SACKOK
		s.timestamp = t.HasTimestamp
		s.stamp(c, p)
		s.half[dir.Other()].policy = s.policy(src)
		if t.FastOpen && len(p.Payload) > 0 {
			s.fastOpen = true
			step := &step{Session: s, p: p, dir: dir, ev: ev, mine: c, theirs: &s.half[dir.Other()], src: src, dst: dst}
			step.segment(t.Seq + 1)
			a.InStream = step.answer.InStream
			c.nextSeq = t.Seq + 1 + uint32(len(p.Payload))
		}
	case t.Flags&packet.ACK != 0:
		if !pick && !s.cfg.AsyncOneside {
			return Answer{Valid: true, Unknown: true}
		}
		a.Picked = true
		s.midstream(p, dir, src, dst)
		step := &step{Session: s, p: p, dir: dir, ev: ev, mine: &s.half[dir], theirs: &s.half[dir.Other()], src: src, dst: dst}
		step.segment(t.Seq)
		a.InStream = step.answer.InStream
	default:
		return Answer{Valid: true, Unknown: true}
	}
	return a
}

// midstream begins with a packet of an established connection.
func (s *Session) midstream(p *packet.Packet, dir app.Direction, src, dst netip.Addr) {
	t := &p.TCP
	s.Midstream = true
	s.budget.Counters.Midstream++
	s.state = Established
	mine, theirs := &s.half[dir], &s.half[dir.Other()]
	s.start(mine, t.Seq-1, dst)
	s.start(theirs, t.Ack-1, src)
	mine.nextSeq = t.Seq + uint32(len(p.Payload))
	mine.lastAck = t.Seq
	theirs.nextSeq, theirs.lastAck = t.Ack, t.Ack
	// Scaling was agreed on before we looked: allow the most.
	mine.wscale, theirs.wscale = 14, 14
	mine.window = uint32(t.Window) << 14
	mine.nextWin = mine.nextSeq + 0xffff<<14
	theirs.nextWin = theirs.lastAck + mine.window
	s.timestamp = t.HasTimestamp
	s.stamp(mine, p)
	if !(s.cfg.Midstream) {
		s.async = true
	}
	if t.Flags&packet.FIN != 0 {
		s.state = FinWait1
	}
}

func (s *Session) start(h *Half, isn uint32, receiver netip.Addr) {
	h.started = true
	h.isn, h.base = isn, isn+1
	h.lastAck = isn + 1
	h.policy = s.policy(receiver)
}

func (s *Session) policy(receiver netip.Addr) Policy {
	if s.cfg.Inline {
		return First
	}
	return s.cfg.Policy(receiver)
}

func scale(t *packet.TCP, unless uint8) uint8 {
	if t.WScale < 0 {
		return unless
	}
	return uint8(t.WScale)
}

func (s *Session) stamp(h *Half, p *packet.Packet) {
	if p.TCP.HasTimestamp {
		h.firstTS, h.lastTS, h.tsTime = p.TCP.TSVal, p.TCP.TSVal, p.Time
	}
}
