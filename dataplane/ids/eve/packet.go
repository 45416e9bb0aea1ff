package eve

import (
	"encoding/base64"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

// packetPart is a packet as it was sent.
type packetPart struct {
	Packet     string      `json:"packet,omitempty"`
	PacketInfo *packetInfo `json:"packet_info,omitempty"`
}

type packetInfo struct {
	LinkType int `json:"linktype"`
}

func whole(p *packet.Packet) packetPart {
	link := packet.LinkRaw
	if len(p.Ethernet) > 0 && p.Outer == nil && !p.Reassembled {
		link = packet.LinkEthernet
	}
	return packetPart{base64.StdEncoding.EncodeToString(p.Frame[:min(len(p.Frame), 65535)]), &packetInfo{int(link)}}
}

type packetEvent struct {
	event
	packetPart
}

// Tagged implements ids.Log: such packets are events of their own (manual, "Tag").
func (w *Writer) Tagged(p *packet.Packet, f *ids.Flow, dir app.Direction) {
	if w.wants("packet") {
		w.write(&packetEvent{w.ofPacket("packet", p, f, dir), whole(p)})
	}
}
