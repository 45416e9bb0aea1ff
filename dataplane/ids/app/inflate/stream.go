package inflate

// Format is a container of DEFLATE.
type Format uint8

const (
	Gzip Format = iota
	Deflate
)

// maxHead is how many bytes of input are kept to begin again with another format.
const maxHead = 4 << 10

// Stream inflates what is said to be gzip or deflate. As browsers do, it takes the
// one for the other, zlib and bare streams alike. What is neither comes out
// as it went in.
type Stream struct {
	// Failed says that input was, or became, none of the formats.
	Failed bool

	said   Format
	raw    Raw
	state  state
	tries  uint8 // which starts have been tried
	head   []byte
	made   bool // something came out
	fresh  bool // what is inflated next is in head already
	lost   bool // head is not all there was
	ending int  // bytes of the trailer yet to skip
}

type state uint8

const (
	sniffing state = iota
	inflating
	trailer
	passing
	dead
)

// NewStream makes a Stream for what it is said to be.
func NewStream(said Format) *Stream { return &Stream{said: said} }

// Write takes input and emits what comes of it; emit returns false to stop.
func (s *Stream) Write(in []byte, emit func([]byte) bool) {
	for len(in) > 0 {
		switch s.state {
		case sniffing:
			s.head = append(s.head, in...)
			in = s.start()
			s.fresh = len(in) > 0
		case inflating:
			if !s.fresh && !s.made {
				s.head = append(s.head, in...)
				s.lost = s.lost || len(s.head) > maxHead+len(in)
				if s.lost {
					s.head = nil
				}
			}
			s.fresh = false
			in = s.inflate(in, emit)
		case trailer:
			n := min(s.ending, len(in))
			in = in[n:]
			if s.ending -= n; s.ending == 0 {
				s.state = passing
			}
		case passing:
			emit(in)
			return
		case dead:
			return
		}
	}
}

// Close says that no more comes: what was waited for to know the format is given out.
func (s *Stream) Close(emit func([]byte) bool) {
	if s.state == sniffing && len(s.head) > 0 {
		emit(s.head)
	}
	s.state = dead
}

const (
	triedGzip = 1 << iota
	triedZlib
	triedRaw
)

// start chooses a format from what is in head and gives what follows its header.
func (s *Stream) start() []byte {
	h := s.head
	isZlib := len(h) >= 2 && h[0]&15 == 8 && h[0]>>4 <= 7 && (int(h[0])<<8|int(h[1]))%31 == 0
	isGzip := h[0] == 0x1f && (len(h) < 2 || h[1] == 0x8b)
	switch {
	case isGzip && s.tries&triedGzip == 0:
		body, whole := gzipBody(h)
		if !whole {
			if len(h) > maxHead {
				s.tries |= triedGzip
				return s.start()
			}
			return nil
		}
		s.tries |= triedGzip
		s.ending = 8
		s.begin()
		return body
	case len(h) < 2 && s.tries == 0:
		return nil
	case isZlib && s.tries&triedZlib == 0:
		after := 2
		if h[1]&0x20 != 0 { // a dictionary nobody has
			after = 6
		}
		if len(h) < after {
			return nil
		}
		s.tries |= triedZlib
		s.ending = 4
		s.begin()
		return h[after:]
	case s.tries&triedRaw == 0:
		s.tries |= triedRaw
		s.ending = 0
		s.begin()
		return h
	}
	s.state, s.Failed = passing, true
	return h
}

func (s *Stream) begin() {
	s.state = inflating
	s.raw.Reset()
}

func (s *Stream) inflate(in []byte, emit func([]byte) bool) []byte {
	stopped := false
	rest, err := s.raw.Write(in, func(b []byte) bool {
		s.made = true
		stopped = !emit(b)
		return !stopped
	})
	switch {
	case stopped:
		return nil
	case err != nil && !s.made && !s.lost:
		s.state = sniffing
		body := s.start()
		s.fresh = len(body) > 0
		return body
	case err != nil:
		// What follows has no meaning that receivers agree on.
		s.state, s.Failed = dead, true
		return nil
	case s.raw.Done():
		s.state = trailer
		if s.ending = max(s.ending-s.raw.ahead, 0); s.ending == 0 {
			s.state = passing
		}
		return rest
	}
	return nil
}

// gzipBody skips a gzip header.
func gzipBody(b []byte) (body []byte, whole bool) {
	if len(b) < 10 {
		return nil, false
	}
	flags := b[3]
	b = b[10:]
	if flags&4 != 0 {
		if len(b) < 2 || len(b) < 2+int(b[0])+int(b[1])<<8 {
			return nil, false
		}
		b = b[2+int(b[0])+int(b[1])<<8:]
	}
	for _, text := range []byte{8, 16} {
		if flags&text == 0 {
			continue
		}
		i := 0
		for i < len(b) && b[i] != 0 {
			i++
		}
		if i == len(b) {
			return nil, false
		}
		b = b[i+1:]
	}
	if flags&2 != 0 {
		if len(b) < 2 {
			return nil, false
		}
		b = b[2:]
	}
	return b, true
}
