package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/packet"
)

// Filter says which packets of a capture are led through the matcher, in the words of
// pcap-filter(7) that name hosts, networks, ports and protocols:
//
//	[tcp|udp|sctp|icmp|icmp6|ip|ip6] [src|dst] (host A | net P | port N | portrange A-B)
//
// joined by and, or, not and parentheses. It looks at the outermost addresses of a frame. The
// nil Filter takes all.
type Filter struct {
	holds   condition
	decoder *packet.Decoder
}

type condition func(*packet.Packet) bool

// ParseFilter reads a filter; an empty one takes all.
func ParseFilter(text string) (*Filter, error) {
	text = strings.NewReplacer("(", " ( ", ")", " ) ", "!", " ! ", "&&", " and ", "||", " or ").Replace(text)
	p := &filterParser{words: strings.Fields(text)}
	if len(p.words) == 0 {
		return nil, nil
	}
	c, err := p.either()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%q is not understood there", p.words[0])
	}
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	cfg := packet.DefaultConfig()
	cfg.Checksums = false
	return &Filter{holds: c, decoder: packet.NewDecoder(cfg, nil)}, nil
}

// Takes says whether a frame is to be looked at.
func (f *Filter) Takes(link packet.Link, frame []byte, length int, time int64) bool {
	if f == nil {
		return true
	}
	for _, p := range f.decoder.Decode(link, frame, length, time) {
		if p.Outer == nil {
			return f.holds(p)
		}
	}
	return false
}

type filterParser struct{ words []string }

func (p *filterParser) next(words ...string) (string, bool) {
	if len(p.words) == 0 || len(words) > 0 && !slices.Contains(words, p.words[0]) {
		return "", false
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w, true
}

func (p *filterParser) either() (condition, error) {
	a, err := p.all()
	for err == nil {
		if _, ok := p.next("or"); !ok {
			break
		}
		b, err := p.all()
		if err != nil {
			return nil, err
		}
		first := a
		a = func(x *packet.Packet) bool { return first(x) || b(x) }
	}
	return a, err
}

func (p *filterParser) all() (condition, error) {
	a, err := p.one()
	for err == nil {
		if _, ok := p.next("and"); !ok {
			break
		}
		b, err := p.one()
		if err != nil {
			return nil, err
		}
		first := a
		a = func(x *packet.Packet) bool { return first(x) && b(x) }
	}
	return a, err
}

func (p *filterParser) one() (condition, error) {
	if _, ok := p.next("not", "!"); ok {
		c, err := p.one()
		return func(x *packet.Packet) bool { return !c(x) }, err
	}
	if _, ok := p.next("("); ok {
		c, err := p.either()
		if _, closed := p.next(")"); err == nil && !closed {
			err = fmt.Errorf("a parenthesis is open at the end")
		}
		return c, err
	}
	return p.primitive()
}

// protocols are the words for what a packet is of.
var protocols = map[string]condition{
	"ip": func(p *packet.Packet) bool { return p.Version == 4 }, "ip6": func(p *packet.Packet) bool { return p.Version == 6 },
	"tcp": of(6), "udp": of(17), "sctp": of(132), "icmp": of(1), "icmp6": of(58),
}

func of(protocol uint8) condition {
	return func(p *packet.Packet) bool { return p.Version != 0 && p.Protocol == protocol }
}

func (p *filterParser) primitive() (condition, error) {
	first := condition(func(*packet.Packet) bool { return true })
	named := false
	if len(p.words) > 0 && protocols[p.words[0]] != nil {
		first, named = protocols[p.words[0]], true
		p.words = p.words[1:]
	}
	side, _ := p.next("src", "dst")
	what, ok := p.next("host", "net", "port", "portrange")
	if !ok {
		if named && side == "" {
			return first, nil
		}
		return nil, fmt.Errorf("a host, net, port or portrange is missing")
	}
	value, ok := p.next()
	if !ok {
		return nil, fmt.Errorf("%s of what is missing", what)
	}
	src, dst, err := operands(what, value)
	if err != nil {
		return nil, err
	}
	return func(x *packet.Packet) bool {
		return first(x) && x.Version != 0 && (side != "dst" && src(x) || side != "src" && dst(x))
	}, nil
}

// operands are the tests of a packet's source and destination.
func operands(what, value string) (src, dst condition, err error) {
	switch what {
	case "host", "net":
		n, err := network(value)
		if err != nil {
			return nil, nil, err
		}
		return func(x *packet.Packet) bool { return n.Contains(x.Src) }, func(x *packet.Packet) bool { return n.Contains(x.Dst) }, nil
	}
	low, high, ranged := strings.Cut(value, "-")
	if !ranged {
		high = low
	}
	from, err1 := strconv.ParseUint(low, 10, 16)
	to, err2 := strconv.ParseUint(high, 10, 16)
	if err1 != nil || err2 != nil || ranged != (what == "portrange") {
		return nil, nil, fmt.Errorf("%q is no %s", value, what)
	}
	within := func(x *packet.Packet, port uint16) bool {
		return x.Transport != nil && x.Protocol != 1 && x.Protocol != 58 && uint64(port) >= from && uint64(port) <= to
	}
	return func(x *packet.Packet) bool { return within(x, x.SrcPort) }, func(x *packet.Packet) bool { return within(x, x.DstPort) }, nil
}

func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return n, fmt.Errorf("%q is no address and no network", s)
	}
	return n.Masked(), nil
}
