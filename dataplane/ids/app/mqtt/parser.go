// Package mqtt owns MQTT 3.1, 3.1.1 and 5. A message and those that acknowledge it are a
// transaction; as in Suricata, rules see it whole, when it is complete, and all
// of it as sent to the server.
package mqtt

import (
	"encoding/binary"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Types of messages (OASIS MQTT 5 section 2.1.2).
const (
	connect     = 1
	connack     = 2
	publish     = 3
	puback      = 4
	pubrec      = 5
	pubrel      = 6
	pubcomp     = 7
	subscribe   = 8
	suback      = 9
	unsubscribe = 10
	unsuback    = 11
	pingreq     = 12
	pingresp    = 13
	disconnect  = 14
	auth        = 15

	maxPayload = 100 << 10
	beginning  = 128 // bytes that are read of a message that is too large
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"mqtt.pdu", "mqtt.header", "mqtt.data"}, Kinds: []string{
		"mqtt.connect.clientid", "mqtt.connect.username", "mqtt.connect.password", "mqtt.connect.willtopic", "mqtt.connect.willmessage",
		"mqtt.connect.protocol_string", "mqtt.publish.topic", "mqtt.publish.message", "mqtt.subscribe.topic", "mqtt.unsubscribe.topic",
	},
		Keywords: []string{
			"mqtt.type", "mqtt.protocol_version", "mqtt.reason_code", "mqtt.qos", "mqtt.flags", "mqtt.connect.flags",
			"mqtt.connack.session_present",
		},
	}
}

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	pending   [2]tx.Pending
	skip      [2]int
	at        [2]uint64
	dir       tx.Direction // of what is fed
	version   byte
	connected bool
	open      map[uint32]*tx.Plain // by what waits for an acknowledgement
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("mqtt"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits), open: map[uint32]*tx.Plain{}}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	p.dir = dir
	b := p.pending[dir].Join(data)
	for len(b) > 0 {
		if n := min(p.skip[dir], len(b)); n > 0 {
			p.skip[dir] -= n
			p.at[dir] += uint64(n)
			b = b[n:]
			continue
		}
		size, head, ok := length(b)
		if !ok {
			if len(b) >= 5 {
				p.once("malformed_traffic")
				p.Lost[dir] = true
				b = nil
			}
			break
		}
		if uint64(size) > p.Limits.MQTTMessage {
			if len(b) < head+beginning {
				break
			}
			t := p.begin()
			t.Event("malformed_traffic")
			t.End()
			p.Note(dir, "header", b[:head])
			p.message(dir, b[0], b[head:head+beginning], true)
			p.skip[dir] = head + size
			continue
		}
		if len(b) < head+size {
			break
		}
		p.Note(dir, "pdu", b[:head+size])
		p.Note(dir, "header", b[:head])
		if size > 0 {
			p.Note(dir, "data", b[head:head+size])
		}
		p.message(dir, b[0], b[head:head+size], false)
		p.at[dir] += uint64(head + size)
		b = b[head+size:]
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) once(event string) {
	t := p.begin()
	t.Event(event)
	t.End()
}

// length reads the remaining length; head is the size of the header with it.
func length(b []byte) (size, head int, ok bool) {
	for i := 1; i < 5; i++ {
		if i >= len(b) {
			return 0, 0, false
		}
		size |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return size, i + 1, true
		}
	}
	return 0, 0, false
}

func (p *Parser) begin() *tx.Plain {
	t := &tx.Plain{Key: "mqtt"}
	t.From(p.dir)
	t.Match = func(keyword string, args []string, dir tx.Direction) (bool, bool) {
		if keyword != "mqtt.connack.session_present" || len(args) != 1 {
			return false, false
		}
		present := t.Numbers("session_present", t.Of(), nil)
		want := uint64(0)
		if a := strings.ToLower(args[0]); a == "yes" || a == "true" {
			want = 1
		}
		return len(present) > 0 && present[0] == want, true
	}
	if !p.Full() {
		p.Add(t)
	}
	return t
}

// reader reads fields; what is missing makes it bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		n = len(r.b)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u16() int {
	if v := r.take(2); len(v) == 2 {
		return int(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (r *reader) u8() byte {
	if v := r.take(1); len(v) == 1 {
		return v[0]
	}
	return 0
}

func (r *reader) text() []byte { return r.take(r.u16()) }

// properties skips those of MQTT 5.
func (r *reader) properties(version byte) {
	if version < 5 || len(r.b) == 0 {
		return
	}
	n, at := 0, 0
	for i := range 4 {
		c := r.u8()
		n |= int(c&0x7f) << (7 * i)
		at = i
		if c&0x80 == 0 {
			break
		}
	}
	if at == 3 && n > 1<<28 {
		r.bad = true
	}
	r.take(n)
}

func key(kind byte, id int) uint32 { return uint32(kind)<<16 | uint32(id) }

func (p *Parser) message(dir tx.Direction, first byte, b []byte, cut bool) {
	kind, flags := first>>4, first&15
	qos := flags >> 1 & 3
	r := &reader{b: b}
	p.dir = dir
	var t *tx.Plain
	done := true
	find := func(of byte, id int, event string) {
		t = p.open[key(of, id)]
		if t == nil {
			t = p.begin()
			t.Event(event)
		}
	}
	wait := func(id int) {
		if len(p.open) < p.Limits.Transactions {
			p.open[key(kind, id)] = t
			done = false
		}
	}
	if !p.connected && kind != connect && kind != connack && kind != auth && kind > 0 && kind < 16 && kind != disconnect {
		defer func() {
			if t != nil {
				t.Event("unintroduced_message")
			}
		}()
	}
	switch kind {
	case connect:
		t = p.begin()
		if p.version != 0 {
			t.Event("double_connect")
		}
		p.connect(t, r)
		wait(0)
	case connack:
		find(connect, 0, "missing_connect")
		delete(p.open, key(connect, 0))
		p.connected = true
		t.Number(t.Of(), "session_present", uint64(r.u8()&1))
		code := r.u8()
		t.Number(t.Of(), "mqtt.reason_code", uint64(code))
		t.Field("connack", map[string]any{"return_code": code})
		r.properties(p.version)
	case publish:
		t = p.begin()
		topic := r.text()
		id := 0
		if qos > 0 {
			id = r.u16()
		}
		r.properties(p.version)
		t.Put(t.Of(), "mqtt.publish.topic", topic)
		t.Put(t.Of(), "mqtt.publish.message", r.b[:min(len(r.b), maxPayload)])
		t.Field("publish", map[string]any{"topic": string(topic), "qos": qos})
		if qos > 0 && qos < 3 {
			wait(id)
		}
	case puback, pubrec, pubrel, pubcomp:
		id := r.u16()
		find(publish, id, "missing_publish")
		if kind == puback || kind == pubcomp {
			delete(p.open, key(publish, id))
		} else {
			done = t.Ended[0] || len(t.Events()) > 0
		}
		if len(r.b) > 0 {
			t.Number(t.Of(), "mqtt.reason_code", uint64(r.u8()))
			r.properties(p.version)
		}
	case subscribe, unsubscribe:
		t = p.begin()
		id := r.u16()
		r.properties(p.version)
		name := "mqtt.subscribe.topic"
		if kind == unsubscribe {
			name = "mqtt.unsubscribe.topic"
		}
		for n := 0; len(r.b) > 0 && n < 100; n++ {
			t.Put(t.Of(), name, r.text())
			if kind == subscribe {
				r.u8()
			}
		}
		wait(id)
	case suback, unsuback:
		id := r.u16()
		of, event := byte(subscribe), "missing_subscribe"
		if kind == unsuback {
			of, event = unsubscribe, "missing_unsubscribe"
		}
		find(of, id, event)
		delete(p.open, key(of, id))
		r.properties(p.version)
		for n := 0; len(r.b) > 0 && n < 100; n++ {
			t.Number(t.Of(), "mqtt.reason_code", uint64(r.u8()))
		}
	case pingreq:
		t = p.begin()
		wait(0)
	case pingresp:
		if t = p.open[key(pingreq, 0)]; t == nil {
			t = p.begin()
		}
		delete(p.open, key(pingreq, 0))
	case disconnect, auth:
		t = p.begin()
		if len(r.b) > 0 {
			t.Number(t.Of(), "mqtt.reason_code", uint64(r.u8()))
			r.properties(p.version)
		}
	default:
		t = p.begin()
		t.Event("unassigned_msg_type")
	}
	t.Number(t.Of(), "mqtt.type", uint64(kind))
	t.Number(t.Of(), "mqtt.qos", uint64(qos))
	t.Number(t.Of(), "mqtt.flags", uint64(flags&9))
	if p.version > 0 {
		if len(t.Numbers("mqtt.protocol_version", t.Of(), nil)) == 0 {
			t.Number(t.Of(), "mqtt.protocol_version", uint64(p.version))
		}
	}
	if qos == 3 {
		t.Event("invalid_qos_level")
	}
	if r.bad && !cut {
		t.Event("malformed_traffic")
	}
	if done {
		t.End()
	}
}

func (p *Parser) connect(t *tx.Plain, r *reader) {
	name := r.text()
	t.Put(t.Of(), "mqtt.connect.protocol_string", name)
	p.version = r.u8()
	flags := r.u8()
	r.u16() // keep alive
	t.Number(t.Of(), "mqtt.connect.flags", uint64(flags))
	r.properties(p.version)
	client := r.text()
	t.Put(t.Of(), "mqtt.connect.clientid", client)
	if flags&4 != 0 {
		r.properties(p.version)
		t.Put(t.Of(), "mqtt.connect.willtopic", r.text())
		t.Put(t.Of(), "mqtt.connect.willmessage", r.text())
	}
	if flags&128 != 0 {
		t.Put(t.Of(), "mqtt.connect.username", r.text())
	}
	if flags&64 != 0 {
		t.Put(t.Of(), "mqtt.connect.password", r.text())
	}
	t.Field("connect", map[string]any{"protocol_string": string(name), "protocol_version": strconv.Itoa(int(p.version)), "client_id": string(client)})
}
