package ids_test

import (
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/packet"
)

// Packets of flows like those that are benchmarked cost few allocations: what there is belongs
// to flows and messages as such.
func TestAllocations(t *testing.T) {
	const most = 0.6 // a packet
	e, _ := engine(t, ids.DefaultConfig(), `alert http any any -> any any (http.header; content:"never-there"; sid:1;)
alert http any any -> any any (http.uri; content:"/never-there"; sid:2;)
alert dns any any -> any any (dns.query; content:"never.there"; sid:3;)`)
	w := e.Worker()
	w.Decoder().Verify(false)
	x := mixed(t, 2<<20)
	span := x.Frames[len(x.Frames)-1].At - x.Frames[0].At + 3600e9
	round := int64(0)
	n := testing.AllocsPerRun(3, func() {
		for _, f := range x.Frames {
			w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At+round*span)
		}
		round++
	})
	if each := n / float64(len(x.Frames)); each > most {
		t.Errorf("%.2f allocations a packet, more than %.2f", each, most)
	} else {
		t.Logf("%.2f allocations a packet", each)
	}
}
