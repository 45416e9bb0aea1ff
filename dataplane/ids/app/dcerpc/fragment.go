package dcerpc

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Types of packets (C706 chapter 12).
const (
	Request      = 0
	Response     = 2
	Fault        = 3
	Bind         = 11
	BindAck      = 12
	BindNak      = 13
	AlterContext = 14
	AlterAck     = 15

	firstFrag  = 1
	lastFrag   = 2
	withObject = 0x80
)

// HeaderSize is the length of the header that all packets have.
const HeaderSize = 16

// Header begins a packet.
type Header struct {
	Type, Flags byte
	Order       binary.ByteOrder
	Size        int // of the packet with its header
	Call        uint32
}

// ParseHeader reads one, of at least HeaderSize bytes.
func ParseHeader(b []byte) (h Header, ok bool) {
	h = Header{Type: b[2], Flags: b[3], Order: binary.ByteOrder(binary.BigEndian)}
	if b[4]&0x10 != 0 {
		h.Order = binary.LittleEndian
	}
	h.Size, h.Call = int(h.Order.Uint16(b[8:])), h.Order.Uint32(b[12:])
	return h, b[0] == 5 && h.Size >= HeaderSize
}

// Last says that it is a call's last fragment.
func (h Header) Last() bool { return h.Flags&lastFrag != 0 }

// Interface is one that a client has asked for.
type Interface struct {
	uuid            string
	context         uint16
	version         uint16
	first           bool // asked in a first fragment
	answered, taken bool
}

// Interfaces are those of a flow.
type Interfaces struct {
	all  []Interface
	from int // where the bind that is not answered yet begins
}

// Bind reads a request for interfaces.
func (x *Interfaces) Bind(h Header, b []byte) {
	if len(b) < 12 || len(x.all) > 1024 {
		return
	}
	x.from = len(x.all)
	n := int(b[8])
	b = b[12:]
	for range n {
		if len(b) < 24 {
			return
		}
		transfers := int(b[2])
		x.all = append(x.all, Interface{uuid: uuid(h.Order, b[4:20]), context: h.Order.Uint16(b), version: h.Order.Uint16(b[20:]), first: h.Flags&firstFrag != 0})
		b = b[min(len(b), 24+20*transfers):]
	}
}

// Answer reads which of them are granted.
func (x *Interfaces) Answer(h Header, b []byte) {
	if len(b) < 10 {
		return
	}
	skip := 10 + int(h.Order.Uint16(b[8:]))
	skip += -(HeaderSize + skip) & 3
	if len(b) < skip+4 {
		return
	}
	n := int(b[skip])
	b = b[skip+4:]
	for i := range n {
		if len(b) < 4 || x.from+i >= len(x.all) {
			return
		}
		e := &x.all[x.from+i]
		e.answered, e.taken = true, h.Order.Uint16(b) == 0
		b = b[min(len(b), 24):]
	}
}

func uuid(order binary.ByteOrder, b []byte) string {
	var o [16]byte
	binary.BigEndian.PutUint32(o[:], order.Uint32(b))
	binary.BigEndian.PutUint16(o[4:], order.Uint16(b[4:]))
	binary.BigEndian.PutUint16(o[6:], order.Uint16(b[6:]))
	copy(o[8:], b[8:])
	return text(o[:])
}

func text(o []byte) string {
	s := hex.EncodeToString(o)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Match answers dcerpc.iface for a call in a context.
func (x *Interfaces) Match(args []string, context uint16) bool {
	for i := range x.all {
		e := &x.all[i]
		if e.answered && e.taken && e.context == context && matches(args, e.uuid, e.version, e.first) {
			return true
		}
	}
	return false
}

// matches compares one interface with the keyword's words.
func matches(args []string, id string, version uint16, first bool) bool {
	anyFrag := false
	for _, arg := range args {
		switch {
		case arg == "any_frag":
			anyFrag = true
		case len(arg) == 36:
			if !strings.EqualFold(arg, id) {
				return false
			}
		case !compare(arg, uint64(version)):
			return false
		}
	}
	return first || anyFrag
}

// compare reads a comparison such as "<5".
func compare(arg string, v uint64) bool {
	digits := strings.TrimLeft(arg, "<>=! ")
	want, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return false
	}
	switch strings.TrimSpace(arg[:len(arg)-len(digits)]) {
	case "<":
		return v < want
	case ">":
		return v > want
	case "<=":
		return v <= want
	case ">=":
		return v >= want
	case "!":
		return v != want
	}
	return v == want
}

// Operation answers dcerpc.opnum.
func Operation(args []string, op uint16) bool {
	for _, arg := range args {
		low, high, isRange := strings.Cut(arg, "-")
		if !isRange {
			if compare(arg, uint64(op)) {
				return true
			}
			continue
		}
		from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if err1 == nil && err2 == nil && uint64(op) >= from && uint64(op) <= to {
			return true
		}
	}
	return false
}

// Call is a request and its response.
type Call struct {
	ID        uint32
	Context   uint16
	Operation uint16
	Requested bool
	Answered  bool
}

// Words answers keywords for a call.
func (c *Call) Words(x *Interfaces, keyword string, args []string) (match, known bool) {
	switch keyword {
	case "dcerpc.iface":
		return (c.Requested || c.Answered) && x.Match(args, c.Context), true
	case "dcerpc.opnum":
		return c.Requested && Operation(args, c.Operation), true
	}
	return false, false
}

// maxStub bounds what is kept of a call's data.
const maxStub = 1 << 20

// Part reads a request's or response's fragment, without its header, and adds its
// data to the transaction.
func (c *Call) Part(h Header, b []byte, t *tx.Plain, dir tx.Direction) {
	if len(b) < 8 {
		return
	}
	context := h.Order.Uint16(b[4:])
	if h.Type == Request {
		if !c.Requested || h.Flags&firstFrag != 0 {
			c.Context, c.Operation = context, h.Order.Uint16(b[6:])
		}
		c.Requested = true
	} else {
		if !c.Requested {
			c.Context = context
		}
		c.Answered = true
	}
	b = b[8:]
	if h.Type == Request && h.Flags&withObject != 0 {
		b = b[min(len(b), 16):]
	}
	if len(b) > 0 {
		t.Append(dir, "dcerpc.stub_data", b, maxStub)
	}
}
