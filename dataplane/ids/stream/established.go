package stream

import (
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

// established: data flows, or the connection is ending.
func (c *step) established() {
	t := &c.p.TCP
	switch {
	case t.Flags&rst != 0:
		if !c.validRst() {
			return
		}
		if len(c.p.Payload) > 0 && c.state < Closed {
			// Some stacks say why they reset; it is no part of the stream.
			c.mine.nextSeq = seqMax(c.mine.nextSeq, t.Seq)
		}
		c.close(c.dir)
		return
	case t.Flags&syn != 0:
		c.lateSyn()
		return
	}
	if !c.paws() {
		return
	}
	if !c.inWindow() {
		return
	}
	c.establish()
}

// establish takes data, ACK and FIN of a packet that fits.
func (c *step) establish() {
	t := &c.p.TCP
	end := t.Seq + uint32(len(c.p.Payload))
	if t.Flags&ack != 0 {
		c.window()
		c.acknowledge()
	}
	c.segment(t.Seq)
	if c.answer.Drop {
		return
	}
	c.mine.nextSeq = seqMax(c.mine.nextSeq, end)
	c.stampLater()
	if c.async {
		// Nobody acknowledges what we could see.
		c.mine.lastAck = seqMax(c.mine.lastAck, end)
	}
	if t.Flags&fin != 0 {
		c.finish(end)
	}
	c.progress()
}

// window takes what the sender is ready to receive.
func (c *step) window() {
	c.mine.window = uint32(c.p.TCP.Window) << c.mine.wscale
}

// acknowledge takes the ACK of a packet.
func (c *step) acknowledge() {
	h, t := c.theirs, &c.p.TCP
	if before(h.lastAck, t.Ack) {
		h.lastAck = t.Ack
		if before(h.nextSeq, t.Ack) {
			h.nextSeq = t.Ack // what it acknowledges passed us by
		}
	}
	if win := h.lastAck + c.mine.window; before(h.nextWin, win) || h.nextWin == 0 {
		h.nextWin = win
	}
}

func (c *step) stampLater() {
	if t := &c.p.TCP; c.timestamp && t.HasTimestamp && !before(t.TSVal, c.mine.lastTS) {
		c.mine.lastTS, c.mine.tsTime = t.TSVal, c.p.Time
	}
}

// finish takes a FIN.
func (c *step) finish(end uint32) {
	if !c.mine.fin {
		c.mine.fin, c.mine.finSeq = true, end
	}
	c.mine.nextSeq = seqMax(c.mine.nextSeq, end+1)
	switch c.state {
	case Established, SynReceived:
		if c.dir == app.ToServer {
			c.state = FinWait1 // the client closes
		} else {
			c.state = CloseWait // the server does
		}
	}
}

// progress moves on among the states of the end.
func (c *step) progress() {
	client, server := &c.half[app.ToServer], &c.half[app.ToClient]
	if c.state < FinWait1 || c.state == Closed {
		return
	}
	acked := func(h *Half) bool { return h.fin && beforeOrAt(h.finSeq+1, h.lastAck) }
	first, second := client, server
	if !client.fin {
		first, second = server, client
	}
	switch {
	case client.fin && server.fin:
		switch {
		case acked(client) && acked(server):
			if c.state != TimeWait && c.state != Closed {
				c.state = TimeWait
			}
			c.state = Closed
		case acked(first) && !acked(second):
			c.state = LastAck
		default:
			c.state = Closing
		}
	case acked(first):
		if first == client {
			c.state = FinWait2
		} else {
			c.state = CloseWait
		}
	}
}

// lateSyn is a SYN, with or without ACK, in a connection that has long begun.
func (c *step) lateSyn() {
	t := &c.p.TCP
	client, server := &c.half[app.ToServer], &c.half[app.ToClient]
	if c.state != Established {
		c.invalid(packet.StreamShutdownSynResend)
		return
	}
	if t.Flags&ack != 0 {
		switch {
		case c.dir == app.ToServer && !c.fourWay:
			c.invalid(packet.StreamEstSynackToserver)
		case t.Ack != client.lastAck && t.Ack != client.isn+1:
			c.invalid(packet.StreamEstSynackResendWithDifferentAck)
		case t.Seq != server.isn:
			c.invalid(packet.StreamEstSynackResendWithDiffSeq)
		default:
			// The third ACK was lost on its way.
			c.ev.Add(packet.StreamEstSynackResend)
		}
		return
	}
	switch {
	case c.dir == app.ToClient:
		c.invalid(packet.StreamEstSynToclient)
	case t.Seq != client.isn:
		c.invalid(packet.StreamEstSynResendDiffSeq)
	default:
		c.ev.Add(packet.StreamEstSynResend)
	}
}
