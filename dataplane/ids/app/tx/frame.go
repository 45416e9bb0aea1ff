package tx

import "strings"

// Framed is a Transaction that keeps frames: parts of its data as they were sent, for
// rules that look at such parts (manual, section "Frames"). Limits.Frames asks for
// them.
type Framed interface {
	// FrameBuffers appends the frames of a name, which may begin with the protocol.
	FrameBuffers(name string, dir Direction, to []Buffer) []Buffer
}

const (
	maxFrame  = 64 << 10
	maxFrames = 256 // of a transaction
)

type frame struct {
	name string
	dir  Direction
	data []byte
	open bool
}

// FrameBuffers appends the frames of a name.
func (c *Common) FrameBuffers(name string, dir Direction, to []Buffer) []Buffer {
	_, short, _ := strings.Cut(name, ".")
	for i := range c.frames {
		f := &c.frames[i]
		if f.dir == dir && (f.name == short || f.name == name) {
			to = append(to, Buffer{Data: f.data, Whole: !f.open || c.Ended[dir]})
		}
	}
	return to
}

// GrowFrame adds to a frame that goes on until its direction ends.
func (c *Common) GrowFrame(dir Direction, name string, data []byte) {
	for i := range c.frames {
		if f := &c.frames[i]; f.open && f.dir == dir && f.name == name {
			f.data = append(f.data, data[:min(len(data), max(0, maxFrame-len(f.data)))]...)
			return
		}
	}
	if len(c.frames) < maxFrames {
		c.frames = append(c.frames, frame{name, dir, append([]byte(nil), data[:min(len(data), maxFrame)]...), true})
	}
}

// FrameLog is where a parser notes frames until it knows their transaction.
type FrameLog struct {
	wanted bool
	frames []frame
}

// NewFrameLog makes one that keeps nothing if frames are not asked for.
func NewFrameLog(l Limits) FrameLog { return FrameLog{wanted: l.Frames} }

// Note keeps a frame, copying its data.
func (l *FrameLog) Note(dir Direction, name string, data []byte) {
	if l.wanted && len(l.frames) < maxFrames {
		l.frames = append(l.frames, frame{name: name, dir: dir, data: append([]byte(nil), data[:min(len(data), maxFrame)]...)})
	}
}

// Give gives what was noted to a transaction.
func (l *FrameLog) Give(c *Common) {
	if len(l.frames) == 0 {
		return
	}
	room := max(0, maxFrames-len(c.frames))
	c.frames = append(c.frames, l.frames[:min(room, len(l.frames))]...)
	l.frames = l.frames[:0]
}

// Wanted says whether frames are asked for.
func (l *FrameLog) Wanted() bool { return l.wanted }
