package detect

import (
	"ngfw.sh/dataplane/ids/rule"
)

// effect compiles what a match causes.
func (c *compiler) effect(s *signature, e rule.Effect) error {
	add := func(f effect) { s.effects = append(s.effects, f) }
	switch x := e.(type) {
	case *rule.FlowBit:
		bit := names.intern(x.Names[0])
		add(func(w *Worker) {
			if w.flow == nil {
				return
			}
			switch {
			case x.Op == rule.StateSet || x.Op == rule.StateToggle && !w.flow.hasBit(bit):
				w.flow.setBit(bit)
			default:
				w.flow.unsetBit(bit)
			}
		})
	case *rule.FlowInt:
		name, other := names.intern(x.Name), uint32(0)
		if x.Other != "" {
			other = names.intern(x.Other)
		}
		add(func(w *Worker) {
			if w.flow == nil {
				return
			}
			by := x.Value
			if x.Other != "" {
				by, _ = w.flow.int(other)
			}
			v, _ := w.flow.int(name)
			switch x.Op {
			case rule.FlowIntAdd:
				by = v + by
			case rule.FlowIntSubtract:
				by = v - by
			}
			w.flow.setInt(name, by)
		})
	case *rule.XBit:
		bit := names.intern(x.Bit)
		host, expire := x.Name == "hostbits", int64(x.Expire)*1e9
		add(func(w *Worker) { w.setXBit(bit, x.Track, host, x.Op, expire) })
	case *rule.Tag:
		add(func(w *Worker) { w.tag(x) })
	case *rule.Bypass:
		add(func(w *Worker) { w.bypass = true })
	case *rule.SetMark:
		add(func(w *Worker) { w.mark, w.markMask = w.mark&^x.Mask|x.Mark&x.Mask, w.markMask|x.Mask })
	case *rule.StoreCertificate, *rule.FileStore:
		// The engine reads Rule.Effects of a match: storing is its own.
	default:
		return notSupported(e.Keyword())
	}
	return nil
}

// xbitKey is what a bit is kept for; hostbits of both sides are two keys.
func (w *Worker) xbitKey(bit uint32, t rule.Track) bitKey {
	a, b := w.addressOf(t)
	return bitKey{bit, a, b}
}

func (w *Worker) hasXBit(bit uint32, t rule.Track, host bool) bool {
	if t == rule.ByFlow {
		return w.flow != nil && w.flow.hasBit(bit|txBit)
	}
	if host && t == rule.ByBoth {
		return w.hasXBit(bit, rule.BySource, true) && w.hasXBit(bit, rule.ByDestination, true)
	}
	until, ok := w.state.bits.get(w.xbitKey(bit, t))
	return ok && until >= w.now
}

// txBit marks bits of xbits among those of flowbits, whose names are others.
const txBit = 1 << 31

func (w *Worker) setXBit(bit uint32, t rule.Track, host bool, op rule.StateOp, expire int64) {
	if t == rule.ByFlow {
		if w.flow == nil {
			return
		}
		bit |= txBit
		if op == rule.StateSet || op == rule.StateToggle && !w.flow.hasBit(bit) {
			w.flow.setBit(bit)
		} else {
			w.flow.unsetBit(bit)
		}
		return
	}
	if host && t == rule.ByBoth {
		w.setXBit(bit, rule.BySource, true, op, expire)
		w.setXBit(bit, rule.ByDestination, true, op, expire)
		return
	}
	now := w.now
	w.state.bits.update(w.xbitKey(bit, t), now, func(until int64, found bool) (int64, bool) {
		found = found && until >= now
		return now + expire, op == rule.StateSet || op == rule.StateToggle && !found
	})
}

// capture keeps what a group of an expression captured. Only variables of the flow are
// kept: rules do not read those of packets.
func (w *Worker) capture(to captureTo, value []byte) {
	if !to.flow || w.flow == nil {
		return
	}
	if len(value) > maxCaptured {
		value = value[:maxCaptured]
	}
	for i := range w.flow.captured {
		if c := &w.flow.captured[i]; c.name == to.name {
			c.value = append(c.value[:0], value...)
			return
		}
	}
	if len(w.flow.captured) < maxCaptures {
		w.flow.captured = append(w.flow.captured, capture{to.name, append([]byte(nil), value...)})
	}
}
