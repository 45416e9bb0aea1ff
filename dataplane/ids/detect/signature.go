package detect

import (
	"fmt"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// class is what a rule is about, which says when it is evaluated.
type class uint8

const (
	ofPackets      class = iota
	ofAddresses          // alone: once a flow and direction
	ofProtocol           // alone: once a direction, when it has been detected
	ofTransactions       // once a transaction and direction
	ofFrames             // once a frame
)

// signature is a rule as it is evaluated. It is immutable.
type signature struct {
	rule  *rule.Rule
	order int32
	class class

	transport rule.Protocol
	src, dst  *rule.AddressSet // nil: any
	sport     *rule.PortSet    // nil: any
	dport     *rule.PortSet
	either    bool // direction <>
	both      bool // direction =>
	flow      rule.FlowFlags
	hasFlow   bool
	apps      rule.AppSet
	toServer  bool
	toClient  bool

	checks []check // of packet, flow and state
	state  []check // those that ask what rules have left behind
	// Buffers of the packet.
	headers []packetBuffer
	payload []*program
	// payloadSlots has the transforms of each of payload, -1: none.
	payloadSlots []int32
	onStream     bool           // reassembled data is looked at
	onPacket     bool           // and the packet's payload, even if it is part of the stream
	framed       []packetBuffer // what is matched in a frame
	// Tests of a transaction.
	tests []txTest
	files uint64 // a bit for each that is about a file

	effects  []effect
	filter   *limiter
	limit    *limiter
	rates    []*rateFilter
	mute     []suppression
	tell     bool
	onFlow   bool // pass and drop are about the flow whatever matched
	events   bool // asks for events of the packet
	onceFlow bool // matches once a flow
	perTx    bool // matches once a transaction, whatever the direction
	asn1     *asn1Check
}

type packetBuffer struct {
	kind *rule.BufferKind
	slot int32 // of transforms; -1: none
	*program
}

// check is a condition that is known at once.
type check func(w *Worker) bool

// effect is what a match causes.
type effect func(w *Worker)

// answer of a test that may be decided later.
type answer uint8

const (
	notYet answer = iota
	yes
	never
)

// txTest is a test of a transaction.
type txTest struct {
	// Of a buffer:
	slot     int32 // its kind and transforms
	program  *program
	toServer bool
	toClient bool
	absent   bool // matches without the buffer too
	only     bool // and only so
	// Of another kind:
	check func(w *Worker, tx app.Transaction, dir app.Direction) answer
	// Of the stream's data, within a transaction:
	payload bool
	// file: it is about one file of the transaction, the same for all such tests of a rule.
	file bool
}

// carried adds to protocols those that carry them: DCE RPC is spoken within SMB.
func carried(apps rule.AppSet) rule.AppSet {
	dcerpc, _ := rule.ParseProtocol("dcerpc")
	if apps.Has(dcerpc) {
		smb, _ := rule.ParseProtocol("smb")
		apps |= smb.Apps()
	}
	return apps
}

// about compiles the header.
func (c *compiler) header(s *signature) error {
	r := s.rule
	var err error
	s.transport = r.Protocol
	s.either, s.both = r.Direction == rule.EitherWay, r.Direction == rule.Transaction
	s.apps, s.toServer, s.toClient = carried(r.Apps), r.ToServer, r.ToClient
	addresses := func(a *rule.Addresses) *rule.AddressSet {
		set, e := c.resolver.Addresses(a)
		if e != nil {
			err = e
			return nil
		}
		if set.All() {
			return nil
		}
		return set
	}
	ports := func(p *rule.Ports) *rule.PortSet {
		set, e := c.resolver.Ports(p)
		if e != nil {
			err = e
			return nil
		}
		if set.All() {
			return nil
		}
		return set
	}
	s.src, s.dst = addresses(r.Source.Addresses), addresses(r.Destination.Addresses)
	s.sport, s.dport = ports(r.Source.Ports), ports(r.Destination.Ports)
	switch {
	case r.Protocol.IsApp():
	case r.Protocol == rule.ICMP || r.Protocol == rule.ICMPv4 || r.Protocol == rule.ICMPv6 || r.Protocol == rule.PacketHeader ||
		r.Protocol == rule.ARP || r.Protocol == rule.Ethernet:
		// "Ports of a protocol without any are not looked at."
		s.sport, s.dport = nil, nil
	}
	return err
}

// aboutTransactions says whether a condition is one of transactions.
func aboutTransactions(c rule.Condition) bool {
	switch c := c.(type) {
	case *rule.Integer:
		return !isPacketNumber[c.Name]
	case *rule.Event:
		return c.Layer == "app-layer" && !isFlowEvent(c.Name)
	case *rule.Words:
		return !isPacketWord[c.Name]
	case *rule.CertificateTime, *rule.FileHash:
		return true
	}
	return false
}

func isFlowEvent(name string) bool { return len(name) > 9 && name[:9] == "applayer_" }

// classify says what the rule is about.
func (c *compiler) classify(s *signature) {
	r := s.rule
	for i := range r.Buffers {
		switch r.Buffers[i].Kind.Layer {
		case rule.InnerApp, rule.FileData:
			s.class = ofTransactions
		case rule.FrameData:
			s.class = ofFrames
			return
		}
	}
	onlyProtocol, addresses := len(r.Conditions) > 0, true
	for _, cond := range r.Conditions {
		if aboutTransactions(cond) {
			s.class = ofTransactions
		}
		if _, ok := cond.(*rule.AppProtocol); !ok {
			onlyProtocol = false
		}
		switch cond.(type) {
		case *rule.IPRep, *rule.IPProtocol:
		default:
			addresses = false
		}
	}
	for _, e := range r.Effects {
		if _, ok := e.(*rule.FileStore); ok {
			s.class = ofTransactions
			// A file to store must be there.
			s.tests = append(s.tests, txTest{toServer: true, toClient: true, check: func(_ *Worker, tx app.Transaction, dir app.Direction) answer {
				return decided(len(tx.Files(dir)) > 0, tx, dir)
			}})
		}
	}
	if s.class == ofTransactions || len(r.Buffers) > 0 {
		return
	}
	switch {
	case onlyProtocol:
		s.class = ofProtocol
	case !addresses || r.Protocol.IsApp() || r.Protocol == rule.TCPPacket || r.Protocol == rule.TCPStream || r.Protocol == rule.PacketHeader ||
		r.Protocol == rule.ARP || r.Protocol == rule.Ethernet || s.sport != nil || s.dport != nil:
	default:
		s.class = ofAddresses
	}
}

// payloads says whether rules on the payload look at packets, at streams, or both
// (manual, "tcp vs tcp-stream" and Suricata's behaviour: a position in the payload is
// looked for in both).
func (c *compiler) payloads(s *signature) {
	r := s.rule
	if len(s.payload) == 0 {
		return
	}
	switch {
	case r.PerPacket || r.Protocol == rule.TCPPacket || s.flow&rule.FlowNoStream != 0 || r.Protocol.Transports()&rule.OverTCP == 0:
		s.onPacket = true
		return
	case r.Protocol == rule.TCPStream || s.flow&rule.FlowOnlyStream != 0:
		s.onStream = true
		return
	}
	s.onStream = !replaces(r)
	if !s.onStream {
		s.onPacket = true // a stream has no bytes to replace
		return
	}
	for i := range r.Buffers {
		b := &r.Buffers[i]
		if b.Kind.Layer != rule.Payload {
			continue
		}
		for _, m := range b.Matches {
			if c, ok := m.(*rule.Content); ok && c.ContentFlags&(rule.HasOffset|rule.HasDepth|rule.StartsWith|rule.HasReplace) != 0 {
				s.onPacket = true
			}
		}
	}
}

// onlyStream says that a single packet is never enough.
func (s *signature) onlyStream() bool {
	return s.rule.Protocol == rule.TCPStream || s.flow&rule.FlowOnlyStream != 0
}

// aboutPackets says whether a condition is about the packet itself.
func (s *signature) aboutPackets() bool {
	for _, c := range s.rule.Conditions {
		switch c.(type) {
		case *rule.Flow, *rule.FlowBit, *rule.FlowInt, *rule.XBit, *rule.AppProtocol:
		default:
			return true
		}
	}
	return false
}

// compileRule makes a signature of a rule.
func (c *compiler) compileRule(r *rule.Rule) (*signature, error) {
	s := &signature{rule: r, tell: r.Alerts()}
	if c.cfg.Protocols.None(r.Apps) {
		return nil, fmt.Errorf("protocol %v is switched off", r.Apps)
	}
	if err := c.header(s); err != nil {
		return nil, err
	}
	c.classify(s)
	if s.class == ofFrames {
		if _, err := frameKeyOf(r); err != nil {
			return nil, err
		}
	}
	for _, cond := range r.Conditions {
		if f, ok := cond.(*rule.Flow); ok {
			s.flow, s.hasFlow = f.Flags, true
		}
	}
	for _, cond := range r.Conditions {
		if err := c.condition(s, cond); err != nil {
			return nil, fmt.Errorf("%s: %w", cond.Keyword(), err)
		}
	}
	if err := c.buffers(s); err != nil {
		return nil, err
	}
	c.payloads(s)
	for _, e := range r.Effects {
		if err := c.effect(s, e); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Keyword(), err)
		}
	}
	for _, e := range r.Effects {
		if _, ok := e.(*rule.FileStore); ok {
			c.needsFile(s)
		}
	}
	if len(s.tests) > 64 {
		return nil, notSupported("more than 64 tests of a transaction")
	}
	for i := range s.tests {
		if s.tests[i].file {
			s.files |= 1 << i
		}
	}
	// A rule that names an application and nothing else is about the flow, too.
	s.onFlow = s.class != ofPackets || s.apps != 0 && len(r.Buffers) == 0 && !s.aboutPackets()
	c.limiters(s)
	return s, nil
}

// buffers compiles what is matched in them.
func (c *compiler) buffers(s *signature) error {
	r := s.rule
	for i := range r.Buffers {
		b := &r.Buffers[i]
		if b.Kind.Layer == rule.DecodedData {
			continue // part of the buffer that base64_decode is in
		}
		p, err := c.program(r, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Kind.Name, err)
		}
		slot := int32(-1)
		if b.Kind.Layer != rule.Payload && b.Kind.Layer != rule.Header || len(b.Transforms) > 0 {
			if slot, err = c.slot(b); err != nil {
				return fmt.Errorf("%s: %w", b.Kind.Name, err)
			}
		}
		switch b.Kind.Layer {
		case rule.Payload:
			s.payload = append(s.payload, p)
			s.payloadSlots = append(s.payloadSlots, slot)
		case rule.Header:
			s.headers = append(s.headers, packetBuffer{b.Kind, slot, p})
		case rule.FrameData:
			if len(b.Transforms) == 0 {
				slot = -1
			}
			s.framed = append(s.framed, packetBuffer{b.Kind, slot, p})
		default:
			s.tests = append(s.tests, txTest{
				slot: slot, program: p, toServer: b.ToServer, toClient: b.ToClient, absent: p.absent, only: p.absentOnly,
				file: b.Kind.Layer == rule.FileData,
			})
		}
	}
	if s.class == ofTransactions && len(s.payload) > 0 {
		s.tests = append(s.tests, txTest{payload: true, toServer: true, toClient: true})
	}
	return nil
}
