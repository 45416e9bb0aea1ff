// Package apptest owns what tests of parsers read captures with: flows whose bytes
// come in order, without an engine. Of overlapping segments the first counts; what is
// missing at the end is a gap. It is for tests alone.
package apptest

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Piece is what one packet brings to a flow.
type Piece struct {
	ToClient bool
	Data     []byte
	Gap      int
	End      bool
}

// Flow is one conversation.
type Flow struct {
	UDP                    bool
	ClientPort, ServerPort uint16
	Pieces                 []Piece
}

// Suite is the folder of the acceptance suite; without it the test is skipped.
func Suite(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("NGFW_IDS_SUITE")
	if dir == "" {
		_, here, _, _ := runtime.Caller(0)
		dir = filepath.Join(filepath.Dir(here), "../../../../../shared/ids-suite")
	}
	if _, err := os.Stat(filepath.Join(dir, "cases.tsv")); err != nil {
		t.Skipf("SKIPPED: no acceptance suite at %s (NGFW_IDS_SUITE)", dir)
	}
	return dir
}

type key struct {
	net, ports gopacket.Flow
	udp        bool
}

type half struct {
	next    uint32
	started bool
	waiting map[uint32][]byte
}

type tracked struct {
	*Flow
	halves [2]half
}

// Read reads the flows of a capture file, in the order in which they began.
func Read(t testing.TB, path string) []*Flow {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var source gopacket.PacketDataSource
	var link layers.LinkType
	if len(data) >= 4 && binary.LittleEndian.Uint32(data) == 0x0a0d0d0a {
		r, err := pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		source, link = r, r.LinkType()
	} else {
		if len(data) > 8 { // whichever minor version, the records are the same
			if data[0] == 0xa1 {
				data[7] = 4
			} else {
				data[6] = 4
			}
		}
		r, err := pcapgo.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		source, link = r, r.LinkType()
	}
	flows := map[key]*tracked{}
	var order []*tracked
	for {
		frame, _, err := source.ReadPacketData()
		if err == io.EOF || err != nil {
			break
		}
		first := gopacket.Decoder(link)
		if link == 228 { // raw IPv4
			first = layers.LayerTypeIPv4
		}
		p := gopacket.NewPacket(frame, first, gopacket.DecodeOptions{NoCopy: true})
		if p.NetworkLayer() == nil || p.TransportLayer() == nil {
			continue
		}
		k := key{net: p.NetworkLayer().NetworkFlow(), ports: p.TransportLayer().TransportFlow()}
		tcp, _ := p.TransportLayer().(*layers.TCP)
		k.udp = tcp == nil
		dir := 0
		f := flows[k]
		if f == nil {
			back := key{k.net.Reverse(), k.ports.Reverse(), k.udp}
			if f = flows[back]; f != nil {
				dir = 1
			}
		}
		if f == nil {
			if tcp != nil && tcp.SYN && tcp.ACK {
				k = key{k.net.Reverse(), k.ports.Reverse(), k.udp}
				dir = 1
			}
			src, dst := k.ports.Endpoints()
			f = &tracked{Flow: &Flow{UDP: k.udp, ClientPort: binary.BigEndian.Uint16(src.Raw()), ServerPort: binary.BigEndian.Uint16(dst.Raw())}}
			flows[k] = f
			order = append(order, f)
		}
		if tcp == nil {
			if u, ok := p.TransportLayer().(*layers.UDP); ok {
				f.Pieces = append(f.Pieces, Piece{ToClient: dir == 1, Data: bytes.Clone(u.Payload)})
			}
			continue
		}
		f.segment(dir, tcp)
	}
	var all []*Flow
	for _, f := range order {
		for dir := range f.halves {
			f.skip(dir)
			f.Pieces = append(f.Pieces, Piece{ToClient: dir == 1, End: true})
		}
		all = append(all, f.Flow)
	}
	return all
}

func (f *tracked) segment(dir int, tcp *layers.TCP) {
	h := &f.halves[dir]
	seq := tcp.Seq
	if tcp.SYN {
		h.next, h.started = seq+1, true
		seq++
	}
	if len(tcp.Payload) == 0 {
		return
	}
	if !h.started {
		h.next, h.started = seq, true
	}
	if h.waiting == nil {
		h.waiting = map[uint32][]byte{}
	}
	if old := h.waiting[seq]; len(old) < len(tcp.Payload) {
		h.waiting[seq] = append(bytes.Clone(old), tcp.Payload[len(old):]...)
	}
	f.drain(dir)
}

// drain takes what is in order.
func (f *tracked) drain(dir int) {
	h := &f.halves[dir]
	for progress := true; progress; {
		progress = false
		for seq, data := range h.waiting {
			if ahead := int32(seq - h.next); ahead > 0 {
				continue
			} else if skip := int(-ahead); skip < len(data) {
				f.Pieces = append(f.Pieces, Piece{ToClient: dir == 1, Data: data[skip:]})
				h.next += uint32(len(data) - skip)
				progress = true
			}
			delete(h.waiting, seq)
		}
	}
}

// skip makes gaps of what never came.
func (f *tracked) skip(dir int) {
	h := &f.halves[dir]
	for len(h.waiting) > 0 {
		gap := int32(1<<31 - 1)
		for seq := range h.waiting {
			gap = min(gap, int32(seq-h.next))
		}
		f.Pieces = append(f.Pieces, Piece{ToClient: dir == 1, Gap: int(gap)})
		h.next += uint32(gap)
		f.drain(dir)
	}
}
