package ids_test

import (
	"testing"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/packet"
)

// Packets of flows like those that are benchmarked cost no allocations, though they begin and
// end flows and messages all the time: what those are kept in is used again. What is left
// is memory that finds its size.
func TestAllocations(t *testing.T) {
	const most = 0.02 // a packet
	e, _ := engine(t, ids.DefaultConfig(), `alert http any any -> any any (http.header; content:"never-there"; sid:1;)
alert http any any -> any any (http.uri; content:"/never-there"; sid:2;)
alert dns any any -> any any (dns.query; content:"never.there"; sid:3;)`)
	w := e.Worker()
	w.Decoder().Verify(false)
	x := mixed(t, 2<<20)
	span := x.Frames[len(x.Frames)-1].At - x.Frames[0].At + 3600e9
	round := int64(0)
	n := testing.AllocsPerRun(5, func() { // after one that does not count
		for _, f := range x.Frames {
			w.Packet(packet.LinkRaw, f.Data, len(f.Data), f.At+round*span)
		}
		round++
	})
	if each := n / float64(len(x.Frames)); each > most {
		t.Errorf("%.4f allocations a packet, more than %.2f", each, most)
	} else {
		t.Logf("%.4f allocations a packet; %d flows, %d packets a round", each, w.Counters.Flows/6, len(x.Frames))
	}
}
