package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"ngfw.sh/dataplane/ids/packet"
)

// Frame is one frame of a capture. Data is valid until the next one.
type Frame struct {
	Link   packet.Link
	Data   []byte
	Length int   // on the wire
	Time   int64 // nanoseconds since 1970
}

// Capture reads a capture file, pcap or pcapng.
type Capture struct {
	old *pcapgo.Reader
	new *pcapgo.NgReader
}

// OpenCapture finds out which kind of file it is.
func OpenCapture(r io.Reader) (*Capture, error) {
	b := bufio.NewReaderSize(r, 1<<20)
	magic, err := b.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("no capture: %w", err)
	}
	c := &Capture{}
	if bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		c.new, err = pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		return c, err
	}
	head := make([]byte, 24)
	if _, err := io.ReadFull(b, head); err != nil {
		return nil, fmt.Errorf("no capture: %w", err)
	}
	// Older versions of the format have the same layout, which the reader need not know.
	if head[0] == 0xa1 { // big-endian
		head[6], head[7] = 0, 4
	} else {
		head[6], head[7] = 4, 0
	}
	if c.old, err = pcapgo.NewReader(io.MultiReader(bytes.NewReader(head), b)); err != nil {
		return nil, err
	}
	// Some writers name a snapshot length that their frames exceed.
	c.old.SetSnaplen(1 << 18)
	return c, nil
}

// Next is the next frame; io.EOF: there is none. A file that ends within a frame ends
// before it.
func (c *Capture) Next() (Frame, error) {
	var data []byte
	var ci gopacket.CaptureInfo
	var err error
	link := layers.LinkType(0)
	if c.old != nil {
		data, ci, err = c.old.ZeroCopyReadPacketData()
		link = c.old.LinkType()
	} else {
		data, ci, err = c.new.ZeroCopyReadPacketData()
		link = c.new.LinkType()
		for _, x := range ci.AncillaryData {
			if l, ok := x.(layers.LinkType); ok {
				link = l
			}
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if err != nil {
		return Frame{}, err
	}
	return Frame{packet.Link(link), data, ci.Length, ci.Timestamp.UnixNano()}, nil
}
