package qos

import (
	"encoding/binary"
	"testing"

	"github.com/vishvananda/netlink/nl"
)

// attribute is one as the kernel writes it, padded to four bytes.
func attribute(kind uint16, value ...byte) []byte {
	out := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	out = append(binary.NativeEndian.AppendUint16(out, kind), value...)
	for len(out)%4 != 0 {
		out = append(out, 0)
	}
	return out
}

func words(list ...uint32) (out []byte) {
	for _, v := range list {
		out = binary.NativeEndian.AppendUint32(out, v)
	}
	return out
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestReadLeaf(t *testing.T) {
	kind := func(name string) []byte { return attribute(nl.TCA_KIND, append([]byte(name), 0)...) }
	queue := attribute(3, words(9, 9000, 17, 0, 5)...) // qlen, backlog, drops, requeues, overlimits
	tin := func(marked uint32) []byte {
		return join(attribute(4, words(3)...), attribute(8, words(marked)...), attribute(9, words(1, 0)...))
	}
	for name, tt := range map[string]struct {
		attributes []byte
		want       leaf
	}{
		"fifo":                {join(kind("bfifo"), attribute(7, queue...)), leaf{FIFO, 17, 0}},
		"fq_codel":            {join(kind("fq_codel"), attribute(7, join(queue, attribute(4, words(0, 1514, 2, 11, 4)...))...)), leaf{FQCoDel, 17, 11}},
		"a class of fq_codel": {join(kind("fq_codel"), attribute(7, attribute(4, words(1)...)...)), leaf{FQCoDel, 0, 0}},
		"cake": {join(kind("cake"), attribute(7, join(queue, attribute(4|1<<15, join(
			attribute(4, words(1)...), attribute(10|1<<15, join(attribute(1, tin(5)...), attribute(2, tin(2)...))...))...))...)), leaf{Cake, 17, 7}},
		"another":             {join(kind("sfq"), attribute(7, join(queue, attribute(4, words(1, 2, 3, 4)...))...)), leaf{"sfq", 17, 0}},
		"nothing":             {nil, leaf{}},
		"cut":                 {kind("fq_codel")[:9], leaf{}},
		"a length of nothing": {[]byte{0, 0, 1, 0}, leaf{}},
	} {
		if got := readLeaf(tt.attributes); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
