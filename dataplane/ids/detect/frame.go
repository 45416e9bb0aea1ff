package detect

import (
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// frameKey names a frame as rules do.
type frameKey struct {
	protocol rule.Protocol
	name     string
}

// frameKeyOf is the frame that all frame buffers of a rule are of.
func frameKeyOf(r *rule.Rule) (frameKey, error) {
	var key frameKey
	for i := range r.Buffers {
		b := &r.Buffers[i]
		switch b.Kind.Layer {
		case rule.FrameData:
		case rule.InnerApp, rule.FileData:
			return key, notSupported("a frame together with " + b.Kind.Name)
		default:
			continue
		}
		protocol, name, _ := strings.Cut(b.Frame, ".")
		p, ok := rule.ParseProtocol(protocol)
		if !ok || !p.IsApp() {
			return key, notSupported("frame " + b.Frame)
		}
		k := frameKey{p, name}
		if key.name != "" && key != k {
			return key, notSupported("frames of different kinds in one rule")
		}
		key = k
	}
	return key, nil
}

// WantsFrames says whether a rule asks for frames.
func (s *Set) WantsFrames() bool { return len(s.frames) > 0 }

// evaluateFrames tries the rules on frames that were completed.
func (w *Worker) evaluateFrames(frames []tx.Frame) {
	for i := range frames {
		f := &frames[i]
		for _, n := range w.set.frames[frameKey{w.flow.Protocol, f.Name}] {
			s := w.set.rules[n]
			if w.set.profile != nil {
				w.profiled(n, func() bool { return w.tryFrame(s, f) })
				continue
			}
			w.tryFrame(s, f)
		}
	}
	w.orient(w.dir)
}

func (w *Worker) tryFrame(s *signature, f *tx.Frame) bool {
	if f.Dir == tx.ToServer && !s.toServer || f.Dir == tx.ToClient && !s.toClient {
		return false
	}
	w.orient(f.Dir)
	dir := w.dir
	w.dir = f.Dir // the rule's direction is the frame's
	ok := s.header(w) && w.checks(s.checks) && w.checks(s.state)
	w.dir = dir
	if !ok {
		return false
	}
	for i := range s.framed {
		t := &s.framed[i]
		data := f.Data
		if t.slot >= 0 {
			if data, ok = w.transformed(t.slot, data); !ok {
				return false
			}
		}
		if !w.match(t.program, buffer{data: data, whole: f.Whole}) {
			return false
		}
	}
	if len(s.payload) > 0 {
		if _, ok := w.payload(s); !ok {
			return false
		}
	}
	w.matched(s, nil, true)
	return true
}
