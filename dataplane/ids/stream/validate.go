package stream

import "ngfw.sh/dataplane/ids/packet"

// paws refuses old packets by their time stamps (RFC 7323, section 5): the receiver
// would, so an attacker could hide other bytes in them.
func (c *step) paws() bool {
	t := &c.p.TCP
	if !c.timestamp || !t.HasTimestamp || c.mine.lastTS == 0 {
		return true
	}
	const days24 = 24 * 24 * 3600 * 1e9
	if before(t.TSVal, c.mine.lastTS) && c.p.Time-c.mine.tsTime < days24 && t.TSVal != 0 {
		c.invalid(packet.StreamPktInvalidTimestamp)
		return false
	}
	if t.TSVal == 0 && c.state != SynSent {
		c.invalid(packet.StreamPktInvalidTimestamp)
		return false
	}
	return true
}

// inWindow refuses what the receiver would.
func (c *step) inWindow() bool {
	t := &c.p.TCP
	n := uint32(len(c.p.Payload))
	end := t.Seq + n
	mine, theirs := c.mine, c.theirs
	if !mine.started || !theirs.started {
		return true
	}
	if t.Flags&packet.ACK != 0 && !c.validAck() {
		return false
	}
	if c.async {
		return true
	}
	// Keep-alives repeat the byte before.
	if n <= 1 && t.Flags&(packet.FIN) == 0 && t.Seq == mine.nextSeq-1 {
		return true
	}
	if n > 0 && before(end, mine.lastAck) || n > 0 && end == mine.lastAck && mine.lastAck != mine.isn+1 {
		// All of it was acknowledged before.
		if c.state == CloseWait {
			c.ev.Add(packet.StreamClosewaitPktBeforeLastAck)
		} else {
			c.ev.Add(packet.StreamEstPktBeforeLastAck)
		}
		c.ev.Add(packet.StreamPktSpuriousRetransmission)
		c.budget.Counters.Retransmitted++
		if !c.cfg.Inline {
			// What it acknowledges still counts.
			if t.Flags&packet.ACK != 0 {
				c.window()
				c.acknowledge()
			}
		}
		c.answer.InStream = true
		return c.cfg.Inline
	}
	if n > 0 && beforeOrAt(end, mine.nextSeq) && before(t.Seq, mine.nextSeq) {
		c.ev.Add(packet.StreamPktRetransmission)
		c.budget.Counters.Retransmitted++
	}
	if before(mine.nextWin, end) && n > 0 || t.Flags&packet.FIN != 0 && before(mine.nextWin, t.Seq) || before(mine.nextWin, t.Seq) {
		c.budget.Counters.OutOfWindow++
		switch {
		case t.Flags&packet.FIN != 0 && c.state == CloseWait:
			c.invalid(packet.StreamClosewaitFinOutOfWindow)
		case t.Flags&packet.FIN != 0:
			c.invalid(packet.StreamFinOutOfWindow)
		case c.state == CloseWait:
			c.invalid(packet.StreamClosewaitAckOutOfWindow)
		default:
			c.invalid(packet.StreamEstPacketOutOfWindow)
		}
		return false
	}
	return true
}

// validAck refuses an acknowledgement of what was never sent.
func (c *step) validAck() bool {
	t := &c.p.TCP
	h := c.theirs
	if beforeOrAt(t.Ack, h.lastAck) {
		return true // an old one says nothing new
	}
	if beforeOrAt(t.Ack, h.nextSeq) {
		return true
	}
	// Packets may have passed us by: what fits the window is plausible.
	if beforeOrAt(t.Ack, h.nextWin) || c.async {
		return true
	}
	e := packet.StreamEstInvalidAck
	switch c.state {
	case FinWait1:
		e = packet.StreamFin1InvalidAck
	case FinWait2:
		e = packet.StreamFin2InvalidAck
	case CloseWait:
		e = packet.StreamClosewaitInvalidAck
	case LastAck:
		e = packet.StreamLastackInvalidAck
	case TimeWait:
		e = packet.StreamTimewaitInvalidAck
	case Closing:
		e = packet.StreamClosingInvalidAck
	}
	c.ev.Add(packet.StreamPktInvalidAck)
	c.invalid(e)
	return false
}

// validRst says whether the receiver would take a RST. Where it is wrong, it is
// not invalid: it only has no effect.
func (c *step) validRst() bool {
	t := &c.p.TCP
	if !c.paws() {
		return false
	}
	if c.async || !c.mine.started {
		return true
	}
	if t.Flags&packet.ACK != 0 && c.theirs.started && t.Ack != 0 {
		// It must acknowledge what was sent.
		if before(c.theirs.nextWin, t.Ack) && before(c.theirs.nextSeq, t.Ack) {
			c.invalid(packet.StreamRstInvalidAck)
			return false
		}
	}
	end := t.Seq + uint32(len(c.p.Payload))
	switch c.theirs.policy { // of who receives it
	case HPUX11:
		if !before(t.Seq, c.mine.nextSeq) {
			return true
		}
	case OldLinux, Linux, Solaris:
		if !before(end, c.mine.lastAck) && beforeOrAt(t.Seq, c.mine.nextSeq+c.theirs.window) {
			return true
		}
	default:
		if t.Seq == c.mine.nextSeq || c.mine.fin && t.Seq == c.mine.finSeq {
			return true
		}
		// A receiver behind us takes one within what it has acknowledged.
		if t.Seq == c.mine.lastAck {
			return true
		}
	}
	c.budget.Counters.OutOfWindow++
	return false
}
