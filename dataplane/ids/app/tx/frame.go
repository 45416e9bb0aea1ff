package tx

// Frame is a part of a protocol's data as it was sent, for rules that look at such parts
// (manual, section "Frames").
type Frame struct {
	Name string // without the protocol
	Dir  Direction
	// Offset is its place in the stream of its direction, or in the datagram.
	Offset uint64
	Data   []byte
	// Whole says that Data is all of it; what is longer than is kept is cut.
	Whole bool
	// Transaction is the one it is part of, if HasTransaction.
	Transaction    uint64
	HasTransaction bool
}

// Framer is a Parser that tells of frames, if Limits.Frames asks for them.
type Framer interface {
	// Frames are those that were completed since TakeFrames was last called; they
	// are the caller's.
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
}

// NewFrameLog makes one that keeps nothing if frames are not asked for.
func NewFrameLog(l Limits) FrameLog { return FrameLog{wanted: l.Frames} }

// Note keeps a frame, copying its data.
func (l *FrameLog) Note(dir Direction, name string, offset uint64, data []byte) {
	if !l.wanted || len(l.frames) >= maxFrames {
		return
	}
	cut := data[:min(len(data), maxFrame)]
	l.frames = append(l.frames, Frame{Name: name, Dir: dir, Offset: offset, Data: append([]byte(nil), cut...), Whole: len(cut) == len(data)})
}

// TakeFrames gives the frames away.
func (l *FrameLog) TakeFrames() []Frame {
	f := l.frames
	l.frames = nil
	return f
}
