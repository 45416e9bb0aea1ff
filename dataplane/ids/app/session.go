package app

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app/ftp"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Session is the application side of one flow: it finds the protocol, parses it, and
// goes over to another when the flow does (an upgrade, STARTTLS, a tunnel).
//
// Feed it whatever is new of a stream, in order, or each datagram of UDP. Until the
// protocol is known it keeps what it was given; a parser then gets all of it.
type Session struct {
	limits Limits
	choice *Choice
	over   Transport
	ports  [2]uint16 // of the client, of the server

	parser   Parser
	found    [2]rule.Protocol
	failed   [2]bool
	original rule.Protocol
	expected rule.Protocol
	held     [2][]byte
	gone     [2]bool // a gap or an end came while the protocol was looked for
	events   []string
	first    int8 // 1 + the direction of the first bytes
	reversed bool
	client   netip.Addr
	// past are transactions of a parser that the flow has left behind.
	past  []Transaction
	begun uint64 // how many they were
	all   []Transaction
	pool  *Pool
	rooms [2][]byte // that held was in
}

// Flow is what a Session is opened for.
type Flow struct {
	Over                   Transport
	ClientPort, ServerPort uint16
	Limits                 Limits
	// Choice is which protocols are looked for; nil: all.
	Choice *Choice
	// Expected is what another flow has announced of this one (TakeExpected), or nil.
	Expected *Expectation
	// Client is the client's address, which FTP commands are compared with.
	Client netip.Addr
}

// Frames are the parts of protocols' data that were completed since the last call, if
// Limits.Frames asks for them.
func (s *Session) Frames() []tx.Frame {
	if f, ok := s.parser.(tx.Framer); ok {
		return f.TakeFrames()
	}
	return nil
}

// Expectation is a flow that another has announced: the data connection of FTP. The
// engine keeps it by addresses and port, and looks it up when a flow's first
// bytes come, not before.
type Expectation struct {
	Protocol rule.Protocol
	// Port is where it goes to: at the server of the flow that announced it, or at its client
	// if ToClient.
	Port     int
	ToClient bool
	what     ftp.Expected
}

// TakeExpected gives away what the flow has announced since the last call.
func (s *Session) TakeExpected() (all []Expectation) {
	f, ok := s.parser.(*ftp.Parser)
	if !ok {
		return nil
	}
	for _, e := range f.TakeExpected() {
		all = append(all, Expectation{Protocol: protoFTPData, Port: e.Port, ToClient: e.ToClient, what: e})
	}
	return all
}

// Open begins a session of no pool.
func Open(f Flow) *Session { return new(Pool).Open(f) }

// keptRoom is how much of what a session held before is kept for the next flow.
const keptRoom = 4 << 10

func (s *Session) open(f Flow) {
	for i := range s.rooms {
		if cap(s.rooms[i]) > keptRoom {
			s.rooms[i] = nil
		}
	}
	*s = Session{
		limits: f.Limits.Filled(), choice: f.Choice, over: f.Over, ports: [2]uint16{f.ClientPort, f.ServerPort}, client: f.Client,
		rooms: s.rooms, events: s.events[:0], all: s.all[:0],
	}
	if e := f.Expected; e != nil && s.choice.parsed(e.Protocol, s.over) {
		s.found = [2]rule.Protocol{e.Protocol, e.Protocol}
		s.parser = ftp.NewData(s.limits, e.what)
	}
}

// Protocol is the flow's, 0 while it is not known.
func (s *Session) Protocol() rule.Protocol {
	if s.parser != nil {
		return s.parser.Protocol()
	}
	if s.found[ToServer] != 0 {
		return s.found[ToServer]
	}
	return s.found[ToClient]
}

// ProtocolOf is what a direction was found to speak, 0 if that is not known or has failed.
func (s *Session) ProtocolOf(dir Direction) rule.Protocol { return s.found[dir] }

// Failed says that a direction's bytes told nothing.
func (s *Session) Failed(dir Direction) bool { return s.failed[dir] }

// Original is the protocol before a change, or 0.
func (s *Session) Original() rule.Protocol { return s.original }

// Reversed says that the first bytes were those of the other side: the flow was joined
// midway, and whom the engine took for the client is the server. What was fed
// counts as the other direction's; from then on the engine names directions as
// they are.
func (s *Session) Reversed() bool { return s.reversed }

// Parser is the parser of the protocol that was found, nil while there is none.
func (s *Session) Parser() Parser { return s.parser }

// Events are what was odd about the protocol as such: the events whose names begin
// with "applayer_".
func (s *Session) Events() []string { return s.events }

func (s *Session) event(name string) {
	for _, e := range s.events {
		if e == name {
			return
		}
	}
	s.events = append(s.events, name)
}

// Done says that nothing more of the flow is worth feeding.
func (s *Session) Done() Done {
	switch {
	case s.parser != nil:
		return s.parser.Done()
	case s.failed[0] && s.failed[1]:
		return GaveUp
	}
	return NotDone
}

// Feed takes the next bytes of a direction.
func (s *Session) Feed(dir Direction, data []byte) {
	if len(data) == 0 {
		return
	}
	if s.first == 0 {
		s.first = 1 + int8(dir)
	}
	if s.parser != nil && (s.found[dir] != 0 || s.failed[dir]) {
		s.parser.Feed(dir, data)
		s.follow()
		return
	}
	if s.found[dir] != 0 || s.failed[dir] {
		if s.found[dir.Other()] == 0 && s.failed[dir.Other()] {
			return
		}
		if s.parser == nil && s.found[dir] != 0 {
			return // a protocol that is known but not parsed
		}
		s.hold(dir, data)
		return
	}
	if len(s.held[dir]) > 0 {
		s.hold(dir, data)
		s.look(dir, s.over == OverUDP)
		return
	}
	// The first bytes tell most protocols: they are looked at where they are, and
	// copied only if they have to wait.
	first := data[:min(len(data), maxHeld):min(len(data), maxHeld)]
	s.held[dir] = first
	s.look(dir, s.over == OverUDP)
	for d, b := range s.held {
		if len(b) > 0 && &b[0] == &first[0] {
			s.held[d] = append(s.rooms[d][:0], b...)
			s.rooms[d] = s.held[d]
		}
	}
}

// maxHeld bounds what is kept of a direction while its protocol is not known.
const maxHeld = 64 << 10

func (s *Session) hold(dir Direction, data []byte) {
	data = data[:min(len(data), maxHeld-len(s.held[dir]))]
	s.held[dir] = append(s.held[dir], data...)
}

// look tries to find the protocol.
func (s *Session) look(dir Direction, final bool) {
	p, failed := Detect(s.choice, s.over, dir, s.ports[0], s.ports[1], s.held[dir], final)
	if p == 0 && failed && s.found[dir.Other()] == 0 && s.first == 1+int8(dir) && s.over == OverTCP {
		// A server's first words from the client's side: the flow was joined midway.
		if r, _ := Detect(s.choice, s.over, dir.Other(), s.ports[1], s.ports[0], s.held[dir], final); r == protoHTTP1 || r == protoTLS || r == protoSMB {
			s.turn(dir)
			s.look(dir.Other(), final)
			return
		}
	}
	if p == protoDNS && s.over == OverUDP && dir == ToServer && s.first == 1+int8(dir) && s.ports[0] == 53 && s.ports[1] != 53 && s.held[dir][2]&0x80 != 0 {
		s.turn(dir)
		s.look(dir.Other(), final)
		return
	}
	other := s.found[dir.Other()]
	switch {
	case p != 0:
		if s.expected != 0 && p != s.expected {
			s.event("applayer_unexpected_protocol")
			if s.expected == protoTLS {
				s.event("applayer_no_tls_after_starttls")
			}
		}
		s.found[dir] = p
		if other != 0 && other != p {
			s.event("applayer_mismatch_protocol_both_directions")
		} else if other == 0 {
			s.start(p)
		}
	case failed:
		s.failed[dir] = true
		if s.expected != 0 && other == 0 {
			s.event("applayer_unexpected_protocol")
			if s.expected == protoTLS {
				s.event("applayer_no_tls_after_starttls")
			}
		}
		if other != 0 {
			s.event("applayer_detect_protocol_only_one_direction")
		}
	case s.parser == nil:
		return
	default:
		// The other side told the protocol; this one's first bytes are short, and
		// belong to it whatever they will be.
		s.failed[dir] = false
	}
	if s.parser == nil {
		if s.found[dir] != 0 || s.failed[dir] && s.failed[dir.Other()] {
			s.held[dir] = nil
		}
		return
	}
	if s.found[dir] == 0 && !s.failed[dir] {
		return
	}
	s.deliver()
}

// turn takes what came from dir for the other side's.
func (s *Session) turn(dir Direction) {
	s.reversed = true
	s.held[dir], s.held[dir.Other()] = s.held[dir.Other()], s.held[dir]
	s.rooms[dir], s.rooms[dir.Other()] = s.rooms[dir.Other()], s.rooms[dir]
	s.ports[0], s.ports[1] = s.ports[1], s.ports[0]
	s.first = 1 + int8(dir.Other())
}

// start makes the parser and gives it what was held.
func (s *Session) start(p rule.Protocol) {
	if s.choice.parsed(p, s.over) {
		s.parser = s.pool.parser(p, s.over, s.limits)
	}
	if f, ok := s.parser.(*ftp.Parser); ok {
		f.SetPeer(s.client)
	}
	if b, ok := s.parser.(interface{ Begin(uint64) }); ok && s.begun > 0 {
		b.Begin(s.begun)
	}
	if s.parser == nil {
		s.held = [2][]byte{}
	}
}

// deliver gives the parser what was held, the side that began first.
func (s *Session) deliver() {
	dir := Direction(0)
	if s.first > 0 {
		dir = Direction(s.first - 1)
	}
	for range 2 {
		if data := s.held[dir]; len(data) > 0 && (s.found[dir] != 0 || s.failed[dir]) {
			s.held[dir] = nil
			s.parser.Feed(dir, data)
		}
		dir = dir.Other()
	}
	for dir := range s.gone {
		if s.gone[dir] {
			s.parser.Close(Direction(dir))
		}
	}
	s.follow()
}

// changer is a parser after which the flow may speak another protocol.
type changer interface {
	// Change says which protocol is expected (0: any), and what came after the
	// change.
	Change() (to rule.Protocol, rest [2][]byte, ok bool)
}

// follow goes over to the next protocol when the parser says so.
func (s *Session) follow() {
	c, ok := s.parser.(changer)
	if !ok {
		return
	}
	to, rest, ok := c.Change()
	if !ok {
		return
	}
	old := s.parser
	if s.original == 0 {
		s.original = old.Protocol()
	}
	s.past = append(s.past, old.Transactions()...)
	if n, ok := old.(interface{ Count() uint64 }); ok {
		s.begun = n.Count()
	}
	s.expected = to
	s.parser, s.found, s.failed, s.first = nil, [2]rule.Protocol{}, [2]bool{}, 0
	if to == protoWebSocket || to == protoHTTP2 {
		// Granted by both: nothing is left to find.
		s.found = [2]rule.Protocol{to, to}
		s.start(to)
	}
	if u, ok := s.parser.(interface{ Upgraded([]Transaction) }); ok {
		u.Upgraded(s.past)
	}
	for dir, data := range rest {
		if len(data) > 0 {
			s.Feed(Direction(dir), append([]byte(nil), data...))
		}
	}
}

// Gap says that n bytes will never come.
func (s *Session) Gap(dir Direction, n int) {
	if s.parser != nil && (s.found[dir] != 0 || s.failed[dir]) {
		s.parser.Gap(dir, n)
		s.follow()
		return
	}
	if s.found[dir] == 0 && !s.failed[dir] {
		s.look(dir, true)
		if s.parser != nil {
			s.parser.Gap(dir, n)
			return
		}
		s.failed[dir] = true
	}
}

// Close says that a direction sends no more.
func (s *Session) Close(dir Direction) {
	if s.gone[dir] {
		return
	}
	if s.found[dir] == 0 && !s.failed[dir] && len(s.held[dir]) > 0 {
		s.look(dir, true)
	}
	s.gone[dir] = true
	if s.parser != nil {
		s.parser.Close(dir)
		s.follow()
	}
}

// Transactions are those not freed, the oldest first.
func (s *Session) Transactions() []Transaction {
	if s.parser == nil {
		return s.past
	}
	if len(s.past) == 0 {
		return s.parser.Transactions()
	}
	s.all = append(append(s.all[:0], s.past...), s.parser.Transactions()...)
	return s.all
}

// FreeDone forgets the transactions, from the oldest on, that both directions have
// completed and that may is true of.
func (s *Session) FreeDone(may func(Transaction) bool) {
	n := 0
	for n < len(s.past) && may(s.past[n]) {
		n++
	}
	s.past = append(s.past[:0], s.past[n:]...)
	if len(s.past) > 0 || s.parser == nil {
		return
	}
	upTo, any := uint64(0), false
	for _, t := range s.parser.Transactions() {
		if !t.Complete(tx.ToServer) || !t.Complete(tx.ToClient) || !may(t) {
			break
		}
		upTo, any = t.ID()+1, true
	}
	if any {
		s.parser.Free(upTo)
	}
}
