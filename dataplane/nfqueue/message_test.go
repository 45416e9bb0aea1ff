package nfqueue

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// body is a packet's message as the kernel writes one.
func body(attributes ...[]byte) []byte {
	b := make([]byte, 4)
	for _, a := range attributes {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		b = append(b, a...)
	}
	return b
}

func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	return append(binary.NativeEndian.AppendUint16(b, kind), value...)
}

func TestParse(t *testing.T) {
	var p Packet
	b := body(attribute(attrHeader, 0, 0, 1, 2, 0x86, 0xdd, 2), attribute(attrMark, 0x88, 0, 0, 1), attribute(attrIn, 0, 0, 0, 3), attribute(attrOut, 0, 0, 0, 4),
		attribute(attrSource, 0, 6, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0), attribute(attrLength, 0, 1, 0, 0), attribute(attrInfo, 0, 0, 0, 3), attribute(attrPayload, 0x60, 1, 2))
	if err := p.parse(b); err != nil {
		t.Fatal(err)
	}
	want := Packet{
		id: 0x102, EtherType: 0x86dd, Mark: 0x88000001, In: 3, Out: 4, Source: []byte{2, 0, 0, 0, 0, 1}, Length: 65536, Unfinished: true, GSO: true, Data: []byte{0x60, 1, 2},
	}
	if d := cmp.Diff(want, p, cmp.AllowUnexported(Packet{})); d != "" {
		t.Error(d)
	}
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"no header":          body(attribute(attrMark, 0, 0, 0, 1)),
		"an endless one":     append(body(attribute(attrHeader, 0, 0, 0, 1, 8, 0, 2)), 0, 0, 0xff, 0xff, 10, 0),
		"one without length": append(body(attribute(attrHeader, 0, 0, 0, 1, 8, 0)), 0, 0, 1, 0),
	} {
		if err := p.parse(b); err == nil {
			t.Errorf("%s was read as %+v", name, p)
		}
	}
}

func FuzzMessages(f *testing.F) {
	whole := func(b []byte) []byte {
		h := binary.NativeEndian.AppendUint32(nil, uint32(16+len(b)))
		h = binary.NativeEndian.AppendUint16(h, typePacket)
		return append(append(h, make([]byte, 10)...), b...)
	}
	f.Add(whole(body(attribute(attrHeader, 0, 0, 1, 2, 8, 0, 2), attribute(attrPayload, 0x45, 0, 0, 20))))
	f.Add(whole(body(attribute(attrSource, 0, 9, 0, 0))))
	f.Add([]byte{16, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		messages(b, func(_ uint16, body []byte) error { return p.parse(body) })
	})
}

func TestNeighboursShareAVerdict(t *testing.T) {
	b := batch{number: 7}
	judge := func(id uint32, mark uint32, v Verdict) { b.add(&Packet{id: id, Mark: mark}, v) }
	pass := func(mark uint32) Verdict { return Verdict{Mark: mark} }
	judge(1, 8, pass(8))
	judge(2, 9, pass(9)) // each keeps its own mark
	judge(3, 8, pass(8))
	judge(4, 8, Verdict{Drop: true, Mark: 8})
	judge(5, 8, pass(1))
	judge(6, 9, pass(1))
	judge(8, 9, pass(1)) // one is missing
	judge(9, 9, pass(2))
	judge(10, 9, Verdict{Mark: 9, Data: []byte("other")})
	judge(11, 9, pass(9))
	type message struct {
		Kind    uint16
		Verdict uint32
		ID      uint32
		Mark    uint32
	}
	var got []message
	out, count := b.take()
	err := messages(out, func(kind uint16, body []byte) error {
		m := message{Kind: kind, Verdict: binary.BigEndian.Uint32(body[8:]), ID: binary.BigEndian.Uint32(body[12:])}
		if !bytes.Equal(body[:4], []byte{0, 0, 0, 7}) {
			t.Errorf("queue % x", body[:4])
		}
		if m.ID == 10 {
			if want := append([]byte{9, 0, attrPayload, 0}, "other\x00\x00\x00"...); !bytes.Equal(body[16:], want) {
				t.Errorf("data % x", body[16:])
			}
		} else if len(body) > 16 {
			m.Mark = binary.BigEndian.Uint32(body[20:])
		}
		got = append(got, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []message{
		{typeBatch, accept, 3, 0}, {typeVerdict, drop, 4, 0}, {typeBatch, accept, 6, 1}, {typeVerdict, accept, 8, 1}, {typeVerdict, accept, 9, 2},
		{typeVerdict, accept, 10, 0}, {typeVerdict, accept, 11, 0},
	}
	if d := cmp.Diff(want, got); d != "" || count != len(want) {
		t.Errorf("%d messages:\n%s", count, d)
	}
	if out, count = b.take(); len(out) != 0 || count != 0 {
		t.Errorf("left over: %d", count)
	}
}

func TestKernelStats(t *testing.T) {
	line := "    3  12345     9 2 65531     7     5      100  1\n"
	if got, ok := kernelStats(line, 3); !ok || got != [3]uint64{9, 7, 5} {
		t.Errorf("%v, %v", got, ok)
	}
	if _, ok := kernelStats(line, 30); ok {
		t.Error("read another queue's line")
	}
}
