package stream

import (
	"slices"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

const (
	fin = packet.FIN
	syn = packet.SYN
	rst = packet.RST
	ack = packet.ACK
)

// synSent: a SYN was seen.
func (c *step) synSent() {
	t := &c.p.TCP
	client, server := &c.half[app.ToServer], &c.half[app.ToClient]
	if c.dir == app.ToClient && !c.echoes() {
		c.invalid(packet.StreamPktInvalidTimestamp)
		return
	}
	switch {
	case t.Flags&rst != 0:
		if c.dir == app.ToClient {
			if c.cfg.Inline && t.Flags&ack != 0 && t.Ack != client.nextSeq {
				c.invalid(packet.StreamRstInvalidAck)
				return
			}
			c.close(c.dir)
		} else if t.Seq == client.isn || t.Seq == client.nextSeq {
			c.close(c.dir)
		}
	case t.Flags&(syn|ack) == syn|ack:
		if c.dir == app.ToServer {
			c.fourWaySynAck()
			return
		}
		c.synAck()
	case t.Flags&syn != 0:
		if c.dir == app.ToClient {
			// Both sides open (RFC 9293, section 3.5).
			c.fourWay = true
			c.start(server, t.Seq, c.dst)
			server.nextSeq = t.Seq + 1
			server.window = uint32(t.Window)
			server.wscale = scale(t, 0)
			c.stamp(server, c.p)
			return
		}
		if t.Seq == client.isn {
			c.stampLater() // sent again: the answer echoes either
			return
		}
		if len(c.queue) > 0 && len(c.queue) >= c.cfg.MaxSyns {
			// The oldest goes: what is answered is likely to be recent.
			c.ev.Add(packet.StreamThreeWaySynFlood)
			c.queue = slices.Delete(c.queue, 0, 1)
		}
		c.queue = append(c.queue, c.offer())
	case t.Flags&ack != 0:
		if !c.cfg.AsyncOneside && !c.cfg.Midstream {
			return
		}
		// The server's packets do not pass here.
		if c.dir == app.ToClient {
			return
		}
		if client.nextSeq != t.Seq {
			c.invalid(packet.StreamThreeWayAsyncWrongSeq)
			return
		}
		if !c.cfg.AsyncOneside {
			return
		}
		c.async = true
		c.state = Established
		c.start(server, t.Ack-1, c.src)
		server.nextSeq, server.lastAck = t.Ack, t.Ack
		client.window = uint32(t.Window) << client.wscale
		client.nextWin = client.nextSeq + 0xffff<<14
		server.nextWin = server.lastAck + client.window
		c.timestamp = false
		c.segment(t.Seq)
		c.mine.nextSeq = seqMax(c.mine.nextSeq, t.Seq+uint32(len(c.p.Payload)))
	}
}

// echoes says whether an answer to a SYN fits its time stamp: one that does not is
// ignored by the client, and shown to us to make us believe that the connection is over.
func (c *step) echoes() bool {
	t := &c.p.TCP
	if !t.HasTimestamp || t.TSEcr == 0 || len(c.queue) > 0 {
		return true
	}
	return t.TSEcr == c.theirs.lastTS || t.TSEcr == c.theirs.firstTS
}

func (c *step) offer() offer {
	t := &c.p.TCP
	return offer{seq: t.Seq, ack: t.Ack, window: uint32(t.Window), wscale: t.WScale, sack: t.SACKOK, hasTS: t.HasTimestamp, ts: t.TSVal, time: c.p.Time}
}

// synAck is the server's answer to the client's SYN, or to one of them.
func (c *step) synAck() {
	t := &c.p.TCP
	client := c.theirs
	want := client.isn + 1
	tfo := client.nextSeq // with data in the SYN
	switch {
	case t.Ack == tfo:
	case t.Ack == want:
		if c.fastOpen {
			// The data of the SYN was not taken.
			c.ev.Add(packet.StreamThreeWaySynackTfoDataIgnored)
			c.dropHeld(client)
			client.nextSeq = want
		}
	default:
		chosen := -1
		for i, o := range c.queue {
			if t.Ack == o.seq+1 {
				chosen = i
			}
		}
		if chosen < 0 {
			c.invalid(packet.StreamThreeWaySynackWithWrongAck)
			return
		}
		o := c.queue[chosen]
		c.start(client, o.seq, c.src)
		client.nextSeq = o.seq + 1
		client.window, client.sack = o.window, o.sack
		client.wscale = uint8(max(o.wscale, 0))
		c.timestamp = o.hasTS
		client.lastTS, client.tsTime = o.ts, o.time
	}
	c.queue = c.queue[:0]
	c.state = SynReceived
	c.accept(t)
}

// accept takes a SYN/ACK as the one that counts.
func (c *step) accept(t *packet.TCP) {
	client, server := &c.half[app.ToServer], &c.half[app.ToClient]
	c.start(server, t.Seq, c.dst)
	server.nextSeq = t.Seq + 1
	server.lastAck = t.Seq
	server.window = uint32(t.Window)
	if t.WScale >= 0 && client.wscale > 0 || t.WScale >= 0 {
		server.wscale = uint8(t.WScale)
	} else {
		server.wscale, client.wscale = 0, 0
	}
	c.timestamp = c.timestamp && t.HasTimestamp
	c.stamp(server, c.p)
	client.lastAck = t.Ack
	server.nextWin = server.lastAck + client.window
	client.nextWin = client.lastAck + server.window
}

// fourWaySynAck answers a SYN of the server's.
func (c *step) fourWaySynAck() {
	t := &c.p.TCP
	client, server := c.mine, c.theirs
	if !c.fourWay {
		c.invalid(packet.StreamThreeWaySynackInWrongDirection)
		return
	}
	if t.Ack != server.isn+1 {
		c.invalid(packet.StreamFourWaySynackWithWrongAck)
		return
	}
	if t.Seq != client.isn {
		c.invalid(packet.StreamFourWaySynackWithWrongSyn)
		return
	}
	c.state = SynReceived
	client.window = uint32(t.Window)
	client.wscale = scale(t, 0)
	server.lastAck = t.Ack
	client.lastAck = t.Seq
	client.nextWin = client.lastAck + server.window
	server.nextWin = server.lastAck + client.window
	c.timestamp = c.timestamp && t.HasTimestamp
	c.stamp(client, c.p)
}

// synReceived: SYN and SYN/ACK were seen.
func (c *step) synReceived() {
	t := &c.p.TCP
	client, server := &c.half[app.ToServer], &c.half[app.ToClient]
	switch {
	case t.Flags&rst != 0:
		if !c.validRst() {
			return
		}
		c.close(c.dir)
	case t.Flags&fin != 0:
		if !c.paws() {
			return
		}
		c.established()
	case t.Flags&(syn|ack) == syn|ack:
		if c.dir == app.ToServer && !c.fourWay {
			c.invalid(packet.StreamThreeWaySynackToserverOnSynRecv)
			return
		}
		if t.Ack != client.lastAck {
			c.invalid(packet.StreamThreeWaySynackResendWithDifferentAck)
			return
		}
		if t.Seq != server.isn {
			if len(c.queue) >= c.cfg.MaxSynAcks {
				c.invalid(packet.StreamThreeWaySynackFlood)
				return
			}
			c.ev.Add(packet.StreamThreeWaySynackResendWithDiffSeq)
			c.queue = append(c.queue, c.offer())
		}
	case t.Flags&syn != 0:
		if c.dir == app.ToClient {
			c.invalid(packet.StreamThreeWaySynToclientOnSynRecv)
			return
		}
		if t.Seq != client.isn {
			c.invalid(packet.StreamThreeWaySynResendDiffSeqOnSynRecv)
		}
	case t.Flags&ack != 0:
		c.thirdAck(client, server)
	default:
		// Data without ACK; some stacks of old send it.
		if c.dir == app.ToServer && t.Seq == client.nextSeq {
			c.segment(t.Seq)
		}
	}
}

// thirdAck ends the handshake.
func (c *step) thirdAck(client, server *Half) {
	t := &c.p.TCP
	if !c.paws() {
		return
	}
	if c.dir == app.ToClient && !c.fourWay {
		// The server speaks before the handshake is over: the last ACK was lost, or
		// somebody injects.
		if c.cfg.Inline && len(c.p.Payload) > 0 && !c.Midstream && !c.fastOpen {
			c.ev.Add(packet.StreamThreeWayAckDataInject)
			c.invalid(0)
			c.answer.Drop = true
			return
		}
		if c.Midstream || len(c.p.Payload) > 0 && t.Seq == server.nextSeq && t.Ack == client.nextSeq || c.fastOpen {
			c.state = Established
			c.window()
			c.establish()
			return
		}
		c.invalid(packet.StreamThreeWayAckInWrongDir)
		return
	}
	if c.dir == app.ToServer {
		// One of several SYN/ACKs may be the one that the client took.
		if t.Ack != server.nextSeq {
			for _, o := range c.queue {
				if t.Ack == o.seq+1 {
					k := packet.TCP{Seq: o.seq, Ack: o.ack, Window: uint16(o.window), WScale: o.wscale, HasTimestamp: o.hasTS}
					c.accept(&k)
					server.lastTS, server.tsTime = o.ts, o.time
					break
				}
			}
		}
		c.queue = nil
		switch {
		case t.Seq == client.nextSeq && t.Ack == server.nextSeq:
		case beforeOrAt(server.nextSeq, t.Ack) && c.Midstream:
		case t.Seq == client.nextSeq && t.Ack != server.nextSeq:
			if beforeOrAt(t.Ack, server.isn) || before(server.nextWin, t.Ack) || !beforeOrAt(server.nextSeq, t.Ack) {
				c.invalid(packet.StreamThreeWayRightSeqWrongAckEvasion)
				return
			}
			if c.cfg.Inline && !c.cfg.Midstream {
				// Nothing of the server's passes us by, and what came too early was dropped.
				c.invalid(packet.StreamThreeWayRightSeqWrongAckEvasion)
				return
			}
			// It acknowledges more than we have seen: data of the server was lost.
		case t.Ack == server.nextSeq && before(client.nextSeq, t.Seq):
			// A packet before this one was lost.
			if before(client.nextWin, t.Seq+uint32(len(c.p.Payload))) {
				c.invalid(packet.StreamThreeWayWrongSeqWrongAck)
				return
			}
		case t.Ack == server.nextSeq && before(t.Seq, client.nextSeq):
			// A keep-alive, or a copy.
		default:
			c.invalid(packet.StreamThreeWayWrongSeqWrongAck)
			return
		}
	} else if t.Ack != client.nextSeq {
		c.invalid(packet.StreamFourWayInvalidAck)
		return
	}
	c.state = Established
	c.window()
	c.establish()
}

// close ends the connection by a RST.
func (c *step) close(by app.Direction) {
	c.budget.Counters.Resets++
	c.state = Closed
	c.reset, c.resetBy = true, by
	if c.p.TCP.Flags&ack != 0 && c.theirs.started {
		c.acknowledge()
	}
}

// closed: something follows the end.
func (c *step) closed() {
	if c.p.TCP.Flags&rst != 0 {
		if c.p.TCP.Flags&ack != 0 && c.theirs.started {
			c.acknowledge()
		}
		return
	}
	if c.reset && c.resetBy == c.dir.Other() && c.p.TCP.Flags&syn == 0 {
		// The target of the RST goes on as if there had been none.
		c.ev.Add(packet.StreamSuspectedRstInject)
		return
	}
	if len(c.p.Payload) > 0 {
		c.segment(c.p.TCP.Seq)
	}
}
