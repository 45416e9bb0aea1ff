// Package enip owns EtherNet/IP and the CIP in it (ODVA), over TCP and UDP: each message is a
// transaction.
package enip

import (
	"encoding/binary"
	"strconv"

	"ngfw.sh/dataplane/ids/app/tx"
)

var le = binary.LittleEndian

const (
	listServices = 4
	listIdentity = 0x63
	registerTCP  = 0x65
	sendRRData   = 0x6f
	sendUnitData = 0x70

	multipleService = 10
	headSize        = 24
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{
		Frames: []string{"enip.hdr", "enip.data", "enip.pdu"},
		Kinds:  []string{"enip.product_name", "enip.service_name"},
		Keywords: []string{
			"enip_command", "enip.status", "enip.protocol_version", "enip.cip_extendedstatus", "enip.revision", "enip.identity_status",
			"enip.state", "enip.serial", "enip.product_code", "enip.device_type", "enip.vendor_id", "enip.capabilities", "enip.cip_status",
			"enip.cip_attribute", "enip.cip_instance", "enip.cip_class", "cip_service",
		},
	}
}

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	stream  bool
	pending [2]tx.Pending
}

// New makes a parser.
func New(stream bool, limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("enip"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits), stream: stream}
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := data
	if p.stream {
		b = p.pending[dir].Join(data)
	}
	for len(b) >= headSize {
		size := headSize + int(le.Uint16(b[2:]))
		if len(b) < size {
			break
		}
		p.Note(dir, "hdr", b[:headSize])
		p.Note(dir, "data", b[headSize:size])
		p.Note(dir, "pdu", b[:size])
		p.message(dir, b[:size])
		b = b[size:]
	}
	if p.stream {
		p.pending[dir].Keep(b)
	}
}

// service is one that CIP names.
type service struct {
	code             byte
	class, attribute int64 // -1: not named
}

func (p *Parser) message(dir tx.Direction, b []byte) {
	t := p.Message("enip")
	t.Side(dir)
	command := le.Uint16(b)
	t.Number(dir, "enip_command", uint64(command))
	t.Number(dir, "enip.status", uint64(le.Uint32(b[8:])))
	t.Field("command", command)
	body := b[headSize:]
	var services []service
	switch command {
	case listIdentity, listServices:
		if dir == tx.ToClient {
			items(body, func(kind uint16, v []byte) {
				if kind == 0x0c {
					identity(t, dir, v)
				} else if kind == 0x100 && len(v) >= 4 {
					t.Number(dir, "enip.protocol_version", uint64(le.Uint16(v)))
					t.Number(dir, "enip.capabilities", uint64(le.Uint16(v[2:])))
					t.Put(dir, "enip.service_name", text(v[4:]))
				}
			})
		}
	case registerTCP:
		if len(body) >= 2 {
			t.Number(dir, "enip.protocol_version", uint64(le.Uint16(body)))
		}
	case sendRRData, sendUnitData:
		if len(body) >= 6 {
			items(body[6:], func(kind uint16, v []byte) {
				switch {
				case kind == 0xb2:
					services = cip(t, dir, v, services, 0)
				case kind == 0xb1 && len(v) >= 2:
					services = cip(t, dir, v[2:], services, 0)
				}
			})
		}
	}
	t.Match = func(keyword string, args []string, of tx.Direction) (bool, bool) {
		if keyword != "cip_service" {
			return false, false
		}
		var want [3]int64
		for i := range want {
			want[i] = -1
			if i < len(args) {
				if n, err := strconv.ParseInt(args[i], 10, 64); err == nil {
					want[i] = n
				}
			}
		}
		for _, s := range services {
			if of == dir && int64(s.code) == want[0] && (want[1] < 0 || want[1] == s.class) && (want[2] < 0 || want[2] == s.attribute) {
				return true, true
			}
		}
		return false, true
	}
}

// items walks a list of the common packet format.
func items(b []byte, visit func(kind uint16, v []byte)) {
	if len(b) < 2 {
		return
	}
	count := int(le.Uint16(b))
	b = b[2:]
	for ; count > 0 && len(b) >= 4; count-- {
		n := int(le.Uint16(b[2:]))
		if 4+n > len(b) {
			return
		}
		visit(le.Uint16(b), b[4:4+n])
		b = b[4+n:]
	}
}

func text(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

func identity(t *tx.Plain, dir tx.Direction, b []byte) {
	if len(b) < 33 {
		return
	}
	t.Number(dir, "enip.protocol_version", uint64(le.Uint16(b)))
	b = b[18:]
	t.Number(dir, "enip.vendor_id", uint64(le.Uint16(b)))
	t.Number(dir, "enip.device_type", uint64(le.Uint16(b[2:])))
	t.Number(dir, "enip.product_code", uint64(le.Uint16(b[4:])))
	t.Number(dir, "enip.revision", uint64(binary.BigEndian.Uint16(b[6:])))
	t.Number(dir, "enip.identity_status", uint64(le.Uint16(b[8:])))
	t.Number(dir, "enip.serial", uint64(le.Uint32(b[10:])))
	n := int(b[14])
	if 15+n > len(b) {
		return
	}
	t.Put(dir, "enip.product_name", b[15:15+n])
	if 15+n < len(b) {
		t.Number(dir, "enip.state", uint64(b[15+n]))
	}
}

// cip reads a request or a response, and what a packet of several services holds.
func cip(t *tx.Plain, dir tx.Direction, b []byte, all []service, depth int) []service {
	if len(b) < 2 || len(all) > 1024 || depth > 3 {
		return all
	}
	s := service{b[0] & 0x7f, -1, -1}
	if b[0]&0x80 != 0 {
		if len(b) < 4 {
			return all
		}
		t.Number(dir, "enip.cip_status", uint64(b[2]))
		rest := b[4:]
		if n := 2 * int(b[3]); n >= 2 && len(rest) >= n {
			t.Number(dir, "enip.cip_extendedstatus", uint64(le.Uint16(rest)))
			rest = rest[n:]
		}
		all = append(all, s)
		if s.code == multipleService {
			all = several(t, dir, rest, all, depth)
		}
		return all
	}
	n := 2 * int(b[1])
	if len(b) < 2+n {
		return append(all, s)
	}
	path, rest := b[2:2+n], b[2+n:]
	for len(path) >= 2 {
		kind, wide := path[0]&^3, path[0]&3
		var v int64
		size := 2
		switch wide {
		case 0:
			v = int64(path[1])
		case 1:
			if size = 4; len(path) >= 4 {
				v = int64(le.Uint16(path[2:]))
			}
		default:
			if size = 6; len(path) >= 6 {
				v = int64(le.Uint32(path[2:]))
			}
		}
		if path[0]&0xe0 != 0x20 || len(path) < size {
			break
		}
		switch kind {
		case 0x20:
			s.class = v
			t.Number(dir, "enip.cip_class", uint64(v))
		case 0x24:
			t.Number(dir, "enip.cip_instance", uint64(v))
		case 0x30:
			s.attribute = v
			t.Number(dir, "enip.cip_attribute", uint64(v))
		}
		path = path[size:]
	}
	all = append(all, s)
	if s.code == multipleService {
		all = several(t, dir, rest, all, depth)
	}
	return all
}

func several(t *tx.Plain, dir tx.Direction, b []byte, all []service, depth int) []service {
	if len(b) < 2 {
		return all
	}
	count := int(le.Uint16(b))
	for i := 0; i < count && 4+2*i <= len(b); i++ {
		from, to := int(le.Uint16(b[2+2*i:])), len(b)
		if i+1 < count && 6+2*i <= len(b) {
			to = int(le.Uint16(b[4+2*i:]))
		}
		if from > to || to > len(b) {
			return all
		}
		all = cip(t, dir, b[from:to], all, depth+1)
	}
	return all
}
