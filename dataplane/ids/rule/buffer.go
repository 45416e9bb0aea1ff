package rule

import "slices"

// Buffer is bytes of a packet, a stream, a transaction or a file, and what must
// match in them. All matches of a Buffer are tried on the same bytes, in order:
// each begins where its modifiers say, relative to the end of the one before.
//
// Where traffic has several buffers of a kind (BufferKind.Many), a Buffer
// matches if one of them does; two Buffers of the same kind may be matched by
// different ones, or by the same.
type Buffer struct {
	Kind       *BufferKind
	Frame      string // of the kind frame: its name, with the protocol
	Transforms []Transform
	Matches    []Match
	// ToServer and ToClient are the directions in which it is looked at: those
	// of its kind, unless the rule names one (file.data:to_client).
	ToServer, ToClient bool
}

// Layer is where a buffer comes from.
type Layer uint8

const (
	Payload     Layer = iota // of the packet, or reassembled of its stream
	Header                   // bytes of the packet before the payload
	InnerApp                 // of a transaction of an application protocol
	FileData                 // of a file that a transaction carries
	FrameData                // of a frame, a part of a protocol's data as it was sent
	DecodedData              // what base64_decode made of another buffer
)

// BufferKind describes a kind of buffer. The kinds are constants: a Rule points
// to the same one for the same keyword.
type BufferKind struct {
	Name  string // canonical keyword
	Layer Layer
	// ToServer and ToClient are the directions that have it.
	ToServer, ToClient bool
	Apps               AppSet // that have it; 0: every packet
	Many               bool   // there may be several at a time
	Case               Case   // of its letters
	// Weak: its values are short and alike, and make bad fast patterns.
	Weak bool
}

// Case says which letters a buffer's normalised bytes can have.
type Case uint8

const (
	AnyCase   Case = iota
	LowerCase      // patterns are turned to lower case
	UpperCase      // patterns are turned to upper case
	OnlyLower      // patterns with upper case are refused: they never match
)

// Match is a check in a buffer, such as *Content or *PCRE.
type Match interface {
	print(b []byte, r *Rule) []byte
	match()
}

// BufferKinds lists every kind, sorted by name.
func BufferKinds() []*BufferKind {
	all := slices.Clone(bufferTable)
	slices.SortFunc(all, func(a, b *BufferKind) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// slot is a buffer under construction.
type slot struct {
	kind       *BufferKind
	frame      string
	toward     string // to_server, to_client or as its kind
	transforms []Transform
}

const maxBuffers = 64

// placed is a match and its slot, in the order of the text.
type placed struct {
	match Match
	slot  int
}

// sticky makes the matches that follow ones in kind.
func (p *parser) sticky(o *option, kind *BufferKind, frame, toward string) error {
	if err := p.stickyUsed(); err != nil {
		return err
	}
	if kind.Layer == DecodedData && !p.decodes {
		return faultf(o.at, "base64_data needs a base64_decode before it")
	}
	p.last = nil
	if kind == payloadKind {
		p.pending, p.bound, p.active = slot{}, -1, false
		return nil
	}
	p.pending, p.bound, p.active, p.stickyAt = slot{kind: kind, frame: frame, toward: toward}, -1, true, o.at
	return p.restrict(o.at, kind.Apps, o.keyword.name)
}

// stickyUsed refuses a sticky buffer in which nothing is matched.
func (p *parser) stickyUsed() error {
	if p.active && p.bound < 0 {
		return faultf(p.stickyAt, "nothing is matched in the buffer %s", p.pending.kind.Name)
	}
	return nil
}

// transform adds one to the buffer that is being set up. After matches, it
// begins another buffer, made of the transformed one.
func (p *parser) transform(o *option, t Transform) error {
	if !p.active {
		return faultf(o.at, "%s needs a sticky buffer before it", o.keyword.name)
	}
	if p.bound >= 0 {
		p.pending = slot{kind: p.pending.kind, frame: p.pending.frame, toward: p.pending.toward, transforms: slices.Clone(p.slots[p.bound].transforms)}
		p.bound, p.stickyAt, p.last = -1, o.at, nil
	}
	if len(p.pending.transforms) == maxTransforms {
		return faultf(o.at, "more than %d transforms of a buffer", maxTransforms)
	}
	p.pending.transforms = append(p.pending.transforms, t)
	return nil
}

// current is the slot that matches go to: that of the sticky buffer; else, if
// they are relative, that of the match before; else the payload.
func (p *parser) current(relative bool) int {
	switch {
	case p.active && p.bound < 0:
		p.bound = p.slotOf(p.pending, p.pending.kind.Many)
		return p.bound
	case p.active:
		return p.bound
	case relative && len(p.placed) > 0:
		return p.placed[len(p.placed)-1].slot
	}
	return p.slotOf(slot{kind: payloadKind}, false)
}

// slotOf finds the slot of a buffer, or makes one; fresh: always makes one.
func (p *parser) slotOf(want slot, fresh bool) int {
	if !fresh {
		for i := range p.slots {
			s := &p.slots[i]
			if s.kind == want.kind && s.frame == want.frame && s.toward == want.toward && slices.Equal(s.transforms, want.transforms) {
				return i
			}
		}
	}
	p.slots = append(p.slots, want)
	if len(p.slots) > maxBuffers && p.tooMany == 0 {
		p.tooMany = p.option.at
	}
	return len(p.slots) - 1
}

// addMatch appends a match to the current buffer.
func (p *parser) addMatch(m Match, relative bool) {
	p.placed = append(p.placed, placed{m, p.current(relative)})
}

// addMatchIn appends a match to a buffer of that kind, whatever is current.
func (p *parser) addMatchIn(m Match, o *option, kind *BufferKind) error {
	p.placed = append(p.placed, placed{m, p.slotOf(slot{kind: kind}, kind.Many)})
	return p.restrict(o.at, kind.Apps, o.keyword.name)
}

// restrict narrows the rule to applications that a keyword is about.
func (p *parser) restrict(at int, to AppSet, keyword string) error {
	if to == 0 {
		return nil
	}
	if p.rule.Apps == 0 {
		p.rule.Apps = to
		return nil
	}
	// DNS over HTTP is both, but a rule of one is not about the other.
	both := p.rule.Apps & to
	if both == 0 || both == doh2 && p.rule.Protocol.IsApp() && p.rule.Protocol.Apps() != doh2 {
		return faultf(at, "%s is of %s, but what stands before it in the rule is of %s", keyword, to, p.rule.Apps)
	}
	p.rule.Apps = both
	return nil
}

var doh2 = appSet("doh2")

// settle makes the rule's buffers of the slots, in the order of their first match.
func (p *parser) settle() {
	r := p.rule
	if len(p.placed) == 0 {
		return
	}
	place := make([]int, len(p.slots))
	count := make([]int, len(p.slots))
	buffers := 0
	for _, m := range p.placed {
		if count[m.slot]++; count[m.slot] == 1 {
			place[m.slot] = buffers
			buffers++
		}
	}
	r.Buffers = make([]Buffer, buffers)
	all := make([]Match, len(p.placed)) // one array for all buffers
	r.order = make([]int, 0, len(p.placed))
	for _, m := range p.placed {
		b := &r.Buffers[place[m.slot]]
		if b.Kind == nil {
			s := &p.slots[m.slot]
			b.Kind, b.Frame, b.Transforms = s.kind, s.frame, s.transforms
			b.ToServer = s.kind.ToServer && s.toward != "to_client"
			b.ToClient = s.kind.ToClient && s.toward != "to_server"
			n := count[m.slot]
			b.Matches, all = all[:0:n], all[n:]
		}
		b.Matches = append(b.Matches, m.match)
		n := 1
		if b.Kind.Many {
			// One of which there may be several is named once: its matches stand together.
			if n = 0; len(b.Matches) == 1 {
				n = count[m.slot]
			}
		}
		for range n {
			r.order = append(r.order, place[m.slot])
		}
	}
}
