package tx

// Frame is a part of a protocol's data as it was sent, for rules that look at such parts
// (manual, section "Frames").
type Frame struct {
	Name string // without the protocol
	Dir  Direction
	Data []byte
	// Whole says that Data is all of it; what is longer than is kept is cut.
	Whole bool
}

// Framer is a Parser that tells of frames, if Limits.Frames asks for them.
type Framer interface {
	// TakeFrames gives away those that were completed since it was last called.
	TakeFrames() []Frame
}

const (
	maxFrame  = 64 << 10
	maxFrames = 512 // waiting to be taken
)

// FrameLog is what a parser notes frames in.
type FrameLog struct {
	wanted bool
	frames []Frame
	open   [2]*Frame
}

// NewFrameLog makes one that keeps nothing if frames are not asked for.
func NewFrameLog(l Limits) FrameLog { return FrameLog{wanted: l.Frames} }

// Wanted says whether frames are asked for.
func (l *FrameLog) Wanted() bool { return l.wanted }

// Note keeps a frame, copying its data.
func (l *FrameLog) Note(dir Direction, name string, data []byte) {
	if !l.wanted || len(l.frames) >= maxFrames {
		return
	}
	cut := data[:min(len(data), maxFrame)]
	l.frames = append(l.frames, Frame{name, dir, append([]byte(nil), cut...), len(cut) == len(data)})
}

// Grow adds to the frame of a direction that is not complete yet, or begins it.
func (l *FrameLog) Grow(dir Direction, name string, data []byte) {
	if !l.wanted {
		return
	}
	f := l.open[dir]
	if f == nil {
		f = &Frame{Name: name, Dir: dir, Whole: true}
		l.open[dir] = f
	}
	room := max(0, maxFrame-len(f.Data))
	f.Data = append(f.Data, data[:min(len(data), room)]...)
	f.Whole = f.Whole && len(data) <= room
}

// Finish completes the frame of a direction that grows.
func (l *FrameLog) Finish(dir Direction) {
	if f := l.open[dir]; f != nil && len(l.frames) < maxFrames {
		l.frames = append(l.frames, *f)
	}
	l.open[dir] = nil
}

// Discard forgets the frame of a direction that grows.
func (l *FrameLog) Discard(dir Direction) { l.open[dir] = nil }

// TakeFrames gives the frames away.
func (l *FrameLog) TakeFrames() []Frame {
	f := l.frames
	l.frames = nil
	return f
}
