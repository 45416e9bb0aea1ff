package rule

// FlowFlags are what a rule's flow keyword asks of the packet's flow.
type FlowFlags uint16

const (
	FlowToServer FlowFlags = 1 << iota
	FlowToClient
	FlowEstablished
	FlowNotEstablished
	FlowStateless
	FlowOnlyStream // on reassembled data alone
	FlowNoStream   // on single packets alone
	FlowOnlyFragments
	FlowNoFragments
)

var flowNames = []string{"to_server", "to_client", "established", "not_established", "stateless", "only_stream", "no_stream", "only_frag", "no_frag"}

// Flow is the flow keyword. A rule has at most one.
type Flow struct{ Flags FlowFlags }

func (*Flow) Keyword() string { return "flow" }
func (*Flow) condition()      {}

func (f *Flow) print(b []byte) []byte {
	b = append(b, "flow:"...)
	for i, name := range flowNames {
		if f.Flags&(1<<i) != 0 {
			if b[len(b)-1] != ':' {
				b = append(b, ',')
			}
			b = append(b, name...)
		}
	}
	return b
}

func parseFlow(p *parser, o *option) error {
	if p.flow != 0 {
		return faultf(o.at, "a rule has only one flow")
	}
	var f FlowFlags
	for rest, more := o.value, true; more; {
		var name string
		name, rest, more = part(rest)
		switch name {
		case "from_client":
			name = "to_server"
		case "from_server":
			name = "to_client"
		}
		i, ok := indexOf(flowNames, name)
		if !ok {
			return faultf(o.valueAt, "a flow is not %q: it is established, not_established, stateless, to_server, to_client, from_server, from_client, only_stream, no_stream, only_frag or no_frag", name)
		}
		if f&(1<<i) != 0 {
			return faultf(o.valueAt, "%s is given twice", name)
		}
		f |= 1 << i
	}
	for _, pair := range [...]FlowFlags{
		FlowToServer | FlowToClient, FlowEstablished | FlowNotEstablished, FlowEstablished | FlowStateless,
		FlowNotEstablished | FlowStateless, FlowOnlyStream | FlowNoStream, FlowOnlyFragments | FlowNoFragments,
	} {
		if f&pair == pair {
			text := (&Flow{pair}).print(nil)[len("flow:"):]
			return faultf(o.valueAt, "%s exclude each other", text)
		}
	}
	p.flow = f
	return p.addCondition(&Flow{f}, 0)
}

// Side is one or more directions that a number is counted for.
type Side uint8

const (
	OfServer Side = iota // what went to the server, for counts of flows; what it sent, for stream_size
	OfClient
	OfBoth   // each must match
	OfEither // one must match
)

// FlowCount compares how many packets or bytes a flow has had: flow.pkts,
// flow.bytes.
type FlowCount struct {
	Name string
	Side Side
	Compare
}

func (c *FlowCount) Keyword() string { return c.Name }
func (*FlowCount) condition()        {}

var flowSides = []string{"toserver", "toclient", "both", "either"}

func (c *FlowCount) print(b []byte) []byte {
	b = append(append(append(b, c.Name...), ':'), flowSides[c.Side]...)
	return c.Compare.print(append(b, ','))
}

func parseFlowCount(p *parser, o *option) error {
	name, side, ok := cutLast(o.keyword.name, '_')
	value, at := o.value, o.valueAt
	if !ok {
		name = o.keyword.name
		var more bool
		if side, value, more = part(o.value); !more {
			return faultf(at, "%s is written direction, number", name)
		}
	}
	i, ok := indexOf(flowSides, side)
	if !ok {
		return faultf(at, "%q is no direction: toserver, toclient, both or either", side)
	}
	bits := 64
	if name == "flow.pkts" {
		bits = 32
	}
	c, err := parseCompare(value, at, bits, nil, false)
	if err != nil {
		return err
	}
	return p.addCondition(&FlowCount{name, Side(i), c}, 0)
}

func cutLast(s string, c byte) (before, after string, ok bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == c {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// StreamSize compares how many bytes a side of a TCP connection has sent, by
// sequence numbers.
type StreamSize struct {
	Side Side
	Compare
}

func (*StreamSize) Keyword() string { return "stream_size" }
func (*StreamSize) condition()      {}

var streamSides = []string{"server", "client", "both", "either"}

func (s *StreamSize) print(b []byte) []byte {
	b = append(append(append(b, "stream_size:"...), streamSides[s.Side]...), ',')
	n := len(b)
	b = s.Compare.print(b)
	// The sign and the number are two parts.
	for i := n; i < len(b); i++ {
		if b[i] >= '0' && b[i] <= '9' {
			digits := string(b[i:])
			switch sign := string(b[n:i]); sign {
			case "":
				b = append(b[:n], '=')
			case "!":
				b = append(b[:n], "!="...)
			default:
				b = b[:i]
			}
			return append(append(b, ','), digits...)
		}
	}
	return b
}

func parseStreamSize(p *parser, o *option) error {
	f, _, more, err := o.fields(3, "side, comparison, number")
	if err != nil {
		return err
	}
	if more {
		return faultf(o.valueAt, "stream_size is written side, comparison, number")
	}
	side, ok := indexOf(streamSides, f[0])
	if !ok {
		return faultf(o.valueAt, "%q is no side: server, client, both or either", f[0])
	}
	op, rest := symbol(f[1])
	if rest != "" || f[1] == "" {
		return faultf(o.valueAt, "%q is no comparison: one of < > = != <= >=", f[1])
	}
	v, ok := size(f[2])
	if !ok || v > 1<<32-1 {
		return faultf(o.valueAt, "%q is no number of bytes", f[2])
	}
	return p.addCondition(&StreamSize{Side(side), Compare{Op: op, A: v}}, 0)
}
