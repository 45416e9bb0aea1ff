package rule

import "strings"

// BitMode is how bits of a header are compared.
type BitMode uint8

const (
	BitsEqual BitMode = iota // exactly these
	BitsAll                  // these, and perhaps others
	BitsAny                  // one of these
	BitsNot                  // not exactly these, of flags; none of these, of fragbits
)

// TCPFlags compares the flags of a TCP header, those of Ignore left out.
type TCPFlags struct {
	Mode   BitMode
	Bits   uint8
	Ignore uint8
}

const tcpFlagLetters = "FSRPAUEC" // from the lowest bit

func (*TCPFlags) Keyword() string { return "tcp.flags" }
func (*TCPFlags) condition()      {}

const bitModes = " +*!"

func (f *TCPFlags) print(b []byte) []byte {
	b = append(b, "tcp.flags:"...)
	if f.Mode != BitsEqual {
		b = append(b, bitModes[f.Mode])
	}
	b = printTCPFlags(b, f.Bits)
	if f.Ignore != 0 {
		b = printTCPFlags(append(b, ','), f.Ignore)
	}
	return b
}

func printTCPFlags(b []byte, bits uint8) []byte {
	if bits == 0 {
		return append(b, '0')
	}
	for i := range len(tcpFlagLetters) {
		if bits&(1<<i) != 0 {
			b = append(b, tcpFlagLetters[i])
		}
	}
	return b
}

func readTCPFlags(s string, at int) (bits uint8, err error) {
	if s == "" {
		return 0, faultf(at, "no flags")
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		switch {
		case c == '0' && len(s) == 1:
		case c == '1':
			bits |= 0x80 // the names before they were CWR and ECE
		case c == '2':
			bits |= 0x40
		default:
			n := strings.IndexByte(tcpFlagLetters, c)
			if n < 0 {
				return 0, faultf(at, "%q is no TCP flag: F S R P A U E C, or 0 for none", s[i])
			}
			bits |= 1 << n
		}
	}
	return bits, nil
}

func parseTCPFlags(p *parser, o *option) error {
	f := &TCPFlags{}
	set, ignore, more := part(o.value)
	// The mode stands before or after the flags.
	for i := range len(bitModes) {
		if i > 0 && set != "" && set[0] == bitModes[i] {
			f.Mode, set = BitMode(i), trim(set[1:])
			break
		}
		if i > 0 && set != "" && set[len(set)-1] == bitModes[i] {
			f.Mode, set = BitMode(i), trim(set[:len(set)-1])
			break
		}
	}
	var err error
	if f.Bits, err = readTCPFlags(set, o.valueAt); err == nil && more {
		f.Ignore, err = readTCPFlags(trim(ignore), o.valueAt)
	}
	if err != nil {
		return err
	}
	p.rule.PerPacket = true
	return p.addCondition(f, 0)
}

// FragBits compares the bits of the IPv4 header that are about fragments.
type FragBits struct {
	Mode BitMode
	Bits uint8 // 1: more fragments, 2: do not fragment, 4: reserved
}

const fragBitLetters = "MDR"

func (*FragBits) Keyword() string { return "fragbits" }
func (*FragBits) condition()      {}

func (f *FragBits) print(b []byte) []byte {
	b = append(b, "fragbits:"...)
	if f.Mode != BitsEqual {
		b = append(b, bitModes[f.Mode])
	}
	for i := range len(fragBitLetters) {
		if f.Bits&(1<<i) != 0 {
			b = append(b, fragBitLetters[i])
		}
	}
	return b
}

func parseFragBits(p *parser, o *option) error {
	f := &FragBits{}
	for i := range len(o.value) {
		c := o.value[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if n := strings.IndexByte(fragBitLetters, c); n >= 0 {
			f.Bits |= 1 << n
		} else if n := strings.IndexByte(bitModes, c); n > 0 && f.Mode == BitsEqual {
			f.Mode = BitMode(n)
		} else if !isSpace(c) {
			return faultf(o.valueAt+i, "%q is none of the bits M D R and no second mode", c)
		}
	}
	if f.Bits == 0 {
		return faultf(o.valueAt, "fragbits needs M, D or R")
	}
	p.rule.PerPacket = true
	return p.addCondition(f, 0)
}

// IPOption checks that an IPv4 header has an option.
type IPOption struct{ Name string } // rr eol nop ts sec esec lsrr ssrr satid any

func (*IPOption) Keyword() string { return "ipopts" }
func (*IPOption) condition()      {}

func (i *IPOption) print(b []byte) []byte { return append(append(b, "ipopts:"...), i.Name...) }

var ipOptions = []string{"rr", "eol", "nop", "ts", "sec", "esec", "lsrr", "ssrr", "satid", "any"}

func parseIPOption(p *parser, o *option) error {
	if _, ok := indexOf(ipOptions, o.value); !ok {
		return faultf(o.valueAt, "%q is no IP option: one of %s", o.value, strings.Join(ipOptions, " "))
	}
	p.rule.PerPacket = true
	return p.addCondition(&IPOption{o.value}, 0)
}

// IPProtocol compares the number of the protocol within IP.
type IPProtocol struct {
	Op     Op // Equal, NotEqual, Less or Greater
	Number uint8
}

var ipProtocols = map[string]uint8{
	"hopopt": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipv4": 4, "ipencap": 4, "st": 5, "tcp": 6, "egp": 8, "igp": 9, "pup": 12, "udp": 17,
	"hmp": 20, "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "ipv6": 41, "ipv6-route": 43,
	"ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "skip": 57, "ipv6-icmp": 58, "icmpv6": 58,
	"ipv6-nonxt": 59, "ipv6-opts": 60, "rspf": 73, "vmtp": 81, "eigrp": 88, "ospf": 89, "ospfigp": 89, "ax.25": 93, "ipip": 94,
	"etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115, "isis": 124, "sctp": 132, "fc": 133, "mobility-header": 135,
	"udplite": 136, "mpls-in-ip": 137, "hip": 139, "shim6": 140, "wesp": 141, "rohc": 142,
}

func (*IPProtocol) Keyword() string { return "ip_proto" }
func (*IPProtocol) condition()      {}

func (i *IPProtocol) print(b []byte) []byte {
	return Compare{Op: i.Op, A: uint64(i.Number)}.print(append(b, "ip_proto:"...))
}

func parseIPProtocol(p *parser, o *option) error {
	i := &IPProtocol{}
	var rest string
	i.Op, rest = symbol(o.value)
	if i.Op == LessEqual || i.Op == GreaterEqual {
		return faultf(o.valueAt, "ip_proto is compared by < > or !")
	}
	if v, ok := number(rest); ok && v <= 255 {
		i.Number = uint8(v)
	} else if i.Number, ok = ipProtocols[strings.ToLower(rest)]; !ok {
		return faultf(o.valueAt, "%q is no protocol of IP", rest)
	}
	return p.addCondition(i, 0)
}
