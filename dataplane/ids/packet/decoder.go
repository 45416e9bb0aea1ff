package packet

// Link is a type of link layer, numbered as in capture files (LINKTYPE_).
type Link uint16

// Link types that are decoded.
const (
	LinkNull     Link = 0
	LinkEthernet Link = 1
	LinkPPP      Link = 9
	LinkRaw12    Link = 12
	LinkRaw14    Link = 14
	LinkPPPHDLC  Link = 50
	LinkRaw      Link = 101
	LinkCHDLC    Link = 104
	LinkLoop     Link = 108
	LinkSLL      Link = 113
	LinkGRE      Link = 778
	LinkIPv4     Link = 228
	LinkIPv6     Link = 229
	LinkSLL2     Link = 276
)

// Config says what a decoder looks into.
type Config struct {
	// Checksums are verified.
	Checksums bool
	// Ports of tunnels in UDP; none: that tunnel is not looked into.
	TeredoPorts, VXLANPorts, GenevePorts []uint16
	// ERSPANType1 takes GRE of ERSPAN without a header of its own.
	ERSPANType1 bool
	// MaxLayers bounds how many headers a packet may nest.
	MaxLayers int
}

// DefaultConfig is that of a stock suricata.yaml.
func DefaultConfig() Config {
	return Config{
		Checksums:   true,
		TeredoPorts: []uint16{3544}, VXLANPorts: []uint16{4789}, GenevePorts: []uint16{6081},
		MaxLayers: 16,
	}
}

// Defragmenter puts fragments together.
type Defragmenter interface {
	// Add takes a fragment (Packet.Part) and returns the whole IP packet when
	// it is the last missing one. It may add events to the packet. The bytes
	// are valid until the next call with a packet of a later number.
	Add(p *Packet) (whole []byte)
}

// Decoder decodes frames. It is for one goroutine.
type Decoder struct {
	cfg    Config
	defrag Defragmenter
	pool   []*Packet
	used   int
	out    []*Packet
	layers int
	number uint64
	time   int64
	wire   int
}

// NewDecoder makes a Decoder. Without a defragmenter fragments stay alone.
func NewDecoder(cfg Config, defrag Defragmenter) *Decoder {
	return &Decoder{cfg: cfg, defrag: defrag}
}

// Decode decodes a frame, which was seen at a time (nanoseconds since 1970) and had a
// length on the wire. A packet within another, or put together of
// fragments, comes before the one that brought it. The packets are valid until
// the next call.
func (d *Decoder) Decode(link Link, frame []byte, length int, time int64) []*Packet {
	d.used, d.layers = 0, 0
	d.out = d.out[:0]
	d.number++
	d.time, d.wire = time, length
	p := d.packet(frame, nil)
	switch link {
	case LinkEthernet:
		d.ethernet(p, frame)
	case LinkRaw, LinkRaw12, LinkRaw14, LinkIPv4, LinkIPv6:
		d.raw(p, frame)
	case LinkNull, LinkLoop:
		d.null(p, frame)
	case LinkSLL:
		d.sll(p, frame)
	case LinkSLL2:
		d.sll2(p, frame)
	case LinkPPP, LinkPPPHDLC:
		d.ppp(p, frame)
	case LinkCHDLC:
		d.chdlc(p, frame)
	case LinkGRE:
		d.gre(p, frame)
	default:
		p.Invalid = true
	}
	d.out = append(d.out, p)
	return d.out
}

// Knows says whether a link type is decoded.
func Knows(link Link) bool {
	switch link {
	case LinkEthernet, LinkRaw, LinkRaw12, LinkRaw14, LinkIPv4, LinkIPv6, LinkNull, LinkLoop, LinkSLL, LinkSLL2, LinkPPP, LinkPPPHDLC, LinkCHDLC, LinkGRE:
		return true
	}
	return false
}

// Number is how many frames were decoded.
func (d *Decoder) Number() uint64 { return d.number }

// Verify turns the verification of checksums on or off.
func (d *Decoder) Verify(on bool) { d.cfg.Checksums = on }

func (d *Decoder) packet(frame []byte, outer *Packet) *Packet {
	if d.used == len(d.pool) {
		d.pool = append(d.pool, &Packet{})
	}
	p := d.pool[d.used]
	d.used++
	*p = Packet{Time: d.time, Number: d.number, Frame: frame, Length: d.wire, Outer: outer}
	if outer != nil {
		p.Length = len(frame)
		p.VLANs, p.VLANCount = outer.VLANs, outer.VLANCount
	}
	return p
}

// inner decodes what a packet carries as a packet of its own.
func (d *Decoder) inner(outer *Packet, data []byte, decode func(*Decoder, *Packet, []byte)) {
	if d.deeper(outer) {
		p := d.packet(data, outer)
		decode(d, p, data)
		d.out = append(d.out, p)
	}
}

// deeper counts a layer.
func (d *Decoder) deeper(p *Packet) bool {
	d.layers++
	if d.layers > d.cfg.MaxLayers {
		p.broken(TooManyLayers)
		return false
	}
	return true
}

// broken notes an event that ends decoding.
func (p *Packet) broken(e Event) {
	p.Events.Add(e)
	p.Invalid = true
}

func be16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
