package regex

// set is a set of bytes.
type set [8]uint32

func (s *set) has(c byte) bool { return s[c>>5]&(1<<(c&31)) != 0 }
func (s *set) add(c byte)      { s[c>>5] |= 1 << (c & 31) }

func (s *set) addRange(a, b byte) {
	for c := int(a); c <= int(b); c++ {
		s.add(byte(c))
	}
}

func (s *set) union(o *set) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s *set) complement() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// meets says whether two sets have a byte in common.
func (s *set) meets(o *set) bool {
	for i := range s {
		if s[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

func (s *set) full() bool {
	for _, w := range s {
		if w != ^uint32(0) {
			return false
		}
	}
	return true
}

// fold adds the other case of each letter.
func (s *set) fold() {
	for c := byte('a'); c <= 'z'; c++ {
		if s.has(c) || s.has(c-32) {
			s.add(c)
			s.add(c - 32)
		}
	}
}

// members lists up to three bytes of the set, and says how many there are.
func (s *set) members() (m [3]byte, n int) {
	for c := 0; c < 256; c++ {
		if s.has(byte(c)) {
			if n < 3 {
				m[n] = byte(c)
			}
			n++
		}
	}
	return m, n
}

func one(c byte) *set {
	var s set
	s.add(c)
	return &s
}

func inverse(s *set) *set {
	t := *s
	t.complement()
	return &t
}

func bytesOf(text string, ranges ...byte) *set {
	var s set
	for i := range len(text) {
		s.add(text[i])
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		s.addRange(ranges[i], ranges[i+1])
	}
	return &s
}

var (
	digitSet      = bytesOf("", '0', '9')
	wordSet       = bytesOf("_", '0', '9', 'a', 'z', 'A', 'Z')
	spaceSet      = bytesOf(" \t\n\v\f\r")
	horizontalSet = bytesOf(" \t\xa0")
	verticalSet   = bytesOf("\n\v\f\r\x85")
	newlineSet    = bytesOf("\n")
	allSet        = inverse(&set{})
)

// escapedSets are the escapes that stand for a set.
var escapedSets = map[byte]*set{
	'd': digitSet, 'D': inverse(digitSet), 'w': wordSet, 'W': inverse(wordSet), 's': spaceSet, 'S': inverse(spaceSet),
	'h': horizontalSet, 'H': inverse(horizontalSet), 'v': verticalSet, 'V': inverse(verticalSet), 'N': inverse(newlineSet),
}

// namedSets are the classes of POSIX, in the C locale.
var namedSets = map[string]*set{
	"alpha": bytesOf("", 'a', 'z', 'A', 'Z'), "digit": digitSet, "alnum": bytesOf("", '0', '9', 'a', 'z', 'A', 'Z'),
	"upper": bytesOf("", 'A', 'Z'), "lower": bytesOf("", 'a', 'z'), "space": spaceSet, "blank": bytesOf(" \t"),
	"punct": bytesOf("", '!', '/', ':', '@', '[', '`', '{', '~'), "xdigit": bytesOf("", '0', '9', 'a', 'f', 'A', 'F'),
	"word": wordSet, "cntrl": bytesOf("\x7f", 0, 31), "print": bytesOf("", 32, 126), "graph": bytesOf("", 33, 126), "ascii": bytesOf("", 0, 127),
}
