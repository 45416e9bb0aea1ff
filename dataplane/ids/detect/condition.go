package detect

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// condition compiles one.
func (c *compiler) condition(s *signature, cond rule.Condition) error {
	add := func(f check) { s.checks = append(s.checks, f) }
	switch x := cond.(type) {
	case *rule.Flow:
		add(flowCheck(x.Flags))
	case *rule.Integer:
		if isPacketNumber[x.Name] {
			return c.packetNumber(s, x)
		}
		s.tests = append(s.tests, txTest{check: c.txNumber(x), toServer: true, toClient: true, file: x.Name == "filesize"})
	case *rule.FlowCount:
		add(flowCountCheck(x))
	case *rule.StreamSize:
		add(func(w *Worker) bool {
			return w.flow != nil && w.packet.Protocol == protoTCP && sides(x.Side, func(dir app.Direction) bool {
				return x.Match(w.flow.StreamBytes[dir])
			}, app.ToClient)
		})
	case *rule.FlowBit:
		var list []uint32
		for _, n := range x.Names {
			list = append(list, names.intern(n))
		}
		want := x.Op == rule.StateIsSet
		s.state = append(s.state, func(w *Worker) bool {
			if w.flow == nil {
				return false
			}
			for _, n := range list {
				if w.flow.hasBit(n) == want {
					return true
				}
			}
			return false
		})
	case *rule.FlowInt:
		s.state = append(s.state, flowIntCheck(x))
	case *rule.XBit:
		bit := names.intern(x.Bit)
		want, track, host := x.Op == rule.StateIsSet, x.Track, x.Name == "hostbits"
		s.state = append(s.state, func(w *Worker) bool { return w.hasXBit(bit, track, host) == want })
	case *rule.IPRep:
		s.checks = append(s.checks, func(w *Worker) bool { return w.state.reputation.check(x, w.src, w.dst) })
	case *rule.TCPFlags:
		add(func(w *Worker) bool {
			if w.packet.Protocol != protoTCP || len(w.packet.Transport) == 0 {
				return false
			}
			return bitsMatch(x.Mode, w.packet.TCP.Flags&^x.Ignore, x.Bits, false)
		})
	case *rule.FragBits:
		add(func(w *Worker) bool {
			h := w.packet.Network
			if w.packet.Version != 4 || len(h) < 20 {
				return false
			}
			bits := h[6] >> 5 // reserved, do not, more
			bits = bits>>2<<2 | bits>>1&1<<1 | bits&1
			return bitsMatch(x.Mode, bits, x.Bits, true)
		})
	case *rule.IPOption:
		code, known := ipOptionCodes[x.Name]
		if !known && x.Name != "any" {
			return notSupported("option " + x.Name)
		}
		add(func(w *Worker) bool { return hasIPOption(w.packet, code, x.Name == "any") })
	case *rule.IPProtocol:
		compare := rule.Compare{Op: x.Op, A: uint64(x.Number)}
		add(func(w *Worker) bool { return w.packet.Version != 0 && compare.Match(uint64(w.packet.Protocol)) })
	case *rule.Event:
		return c.event(s, x)
	case *rule.AppProtocol:
		if s.class == ofProtocol && (x.Mode == "final" || x.Mode == "original") {
			s.onceFlow = true // what it was and is at last, is so of the flow, not of a direction
		}
		add(appProtocolCheck(x))
	case *rule.FileHash:
		return c.fileHash(s, x)
	case *rule.Words:
		return c.words(s, x)
	case *rule.CertificateTime:
		s.tests = append(s.tests, txTest{check: certificateTime(x), toServer: true, toClient: true})
	default:
		return notSupported(cond.Keyword())
	}
	return nil
}

// flowCheck is the flow keyword. Its directions are in the signature, and hold only
// for packets of a flow.
func flowCheck(f rule.FlowFlags) check {
	return func(w *Worker) bool {
		fl := w.flow
		switch {
		case f&(rule.FlowToServer|rule.FlowToClient|rule.FlowEstablished) != 0 && fl == nil,
			f&rule.FlowEstablished != 0 && !fl.Established,
			f&rule.FlowNotEstablished != 0 && fl != nil && fl.Established,
			f&rule.FlowOnlyFragments != 0 && !w.packet.Reassembled,
			f&rule.FlowNoFragments != 0 && w.packet.Reassembled:
			return false
		}
		return true
	}
}

// sides asks for one direction or both. server is the direction that OfServer means.
func sides(s rule.Side, f func(app.Direction) bool, server app.Direction) bool {
	switch s {
	case rule.OfServer:
		return f(server)
	case rule.OfClient:
		return f(server.Other())
	case rule.OfBoth:
		return f(app.ToServer) && f(app.ToClient)
	}
	return f(app.ToServer) || f(app.ToClient)
}

func flowCountCheck(x *rule.FlowCount) check {
	return func(w *Worker) bool {
		return w.flow != nil && sides(x.Side, func(dir app.Direction) bool {
			if x.Name == "flow.bytes" {
				return x.Match(w.flow.Bytes[dir])
			}
			return x.Match(w.flow.Packets[dir])
		}, app.ToServer)
	}
}

func flowIntCheck(x *rule.FlowInt) check {
	name, other := names.intern(x.Name), uint32(0)
	if x.Other != "" {
		other = names.intern(x.Other)
	}
	return func(w *Worker) bool {
		if w.flow == nil {
			return false
		}
		v, set := w.flow.int(name)
		switch x.Op {
		case rule.FlowIntIsSet:
			return set
		case rule.FlowIntIsNotSet:
			return !set
		}
		to := x.Value
		if x.Other != "" {
			to, _ = w.flow.int(other)
		}
		if !set {
			return false
		}
		switch x.Op {
		case rule.FlowIntLess:
			return v < to
		case rule.FlowIntLessEqual:
			return v <= to
		case rule.FlowIntGreater:
			return v > to
		case rule.FlowIntGreaterEqual:
			return v >= to
		case rule.FlowIntEqual:
			return v == to
		}
		return v != to
	}
}

// bitsMatch compares bits of a header. Of fragbits, not is none of these; of flags,
// not these all.
func bitsMatch(mode rule.BitMode, have, want uint8, fragments bool) bool {
	switch mode {
	case rule.BitsAll:
		return have&want == want
	case rule.BitsAny:
		return have&want != 0
	case rule.BitsNot:
		if fragments {
			return have&want == 0
		}
		return have&want != want
	}
	return have == want
}

var ipOptionCodes = map[string]byte{"rr": 7, "eol": 0, "nop": 1, "ts": 68, "sec": 130, "esec": 133, "lsrr": 131, "ssrr": 137, "satid": 136}

func hasIPOption(p *packet.Packet, code byte, anyOf bool) bool {
	if p.Version != 4 || len(p.Network) <= 20 {
		return false
	}
	for o := p.Network[20:]; len(o) > 0; {
		if anyOf || o[0] == code {
			return true
		}
		switch {
		case o[0] == 0:
			return false
		case o[0] == 1:
			o = o[1:]
		case len(o) < 2 || o[1] < 2 || int(o[1]) > len(o):
			return false
		default:
			o = o[o[1]:]
		}
	}
	return false
}

func appProtocolCheck(x *rule.AppProtocol) check {
	is := func(p rule.Protocol, known bool) bool {
		return known && (p == x.Protocol || x.Protocol.Apps().Has(p))
	}
	return func(w *Worker) bool {
		f := w.flow
		if f == nil {
			return false
		}
		var match bool
		this, that := f.ProtocolOf[w.dir], f.ProtocolOf[w.dir.Other()]
		switch {
		case x.Special == "failed":
			match = f.Failed[w.dir] && this == 0
		case x.Special == "unknown":
			match = this == 0 && !f.ProtocolKnown
		case !f.ProtocolKnown && !f.Failed[w.dir] && this == 0:
			return false // not yet known: neither this nor another
		default:
			switch x.Mode {
			case "original":
				match = is(f.Original, f.Original != 0)
			case "to_server":
				match = is(f.ProtocolOf[app.ToServer], f.ProtocolOf[app.ToServer] != 0)
			case "to_client":
				match = is(f.ProtocolOf[app.ToClient], f.ProtocolOf[app.ToClient] != 0)
			case "either":
				match = is(this, this != 0) || is(that, that != 0)
			case "final":
				match = is(f.Protocol, f.ProtocolKnown)
			default:
				match = is(this, this != 0) || this == 0 && is(f.Protocol, f.ProtocolKnown)
			}
		}
		return match != x.Negated
	}
}

// event compiles the keywords of events.
func (c *compiler) event(s *signature, x *rule.Event) error {
	if x.Layer == "app-layer" {
		return c.appEvent(s, x)
	}
	if c.cfg.Event == nil {
		return notSupported("event " + x.Name)
	}
	e, ok := c.cfg.Event(x.Layer, x.Name)
	if !ok {
		return notSupported("event " + x.Name)
	}
	s.events = true
	s.checks = append(s.checks, func(w *Worker) bool {
		return w.packet.Events.Has(e) || w.in.StreamEvents != nil && w.in.StreamEvents.Has(e)
	})
	return nil
}

// addressOf is what a number or bit is kept for.
func (w *Worker) addressOf(t rule.Track) (netip.Addr, netip.Addr) {
	switch t {
	case rule.BySource:
		return w.src, netip.Addr{}
	case rule.ByDestination:
		return w.dst, netip.Addr{}
	}
	if w.dst.Less(w.src) {
		return w.dst, w.src
	}
	return w.src, w.dst
}
