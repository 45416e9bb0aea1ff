package rule

// Rule is one rule, checked and resolved as far as it alone allows.
//
// A Rule is immutable once parsed and may be read from several goroutines. Its
// strings share memory with the text it was parsed from.
type Rule struct {
	File int    // index of the file in the Set it was loaded by
	Line int    // of its first line; 1 is the first
	Text string // as written, continuation lines joined

	Action       Action
	Protocol     Protocol
	Source       Endpoint
	Destination  Endpoint
	Direction    Direction
	Alert        AlertMode
	Message      string
	SID          uint32
	GID          uint32 // 1 where the rule names none
	Revision     uint32
	Class        string // classtype
	Priority     uint8  // 0: that of its class
	References   []Reference
	Metadata     []Pair
	Target       Target
	Requirements string // text of its requires keyword

	// Conditions must all hold. They are in the order of the text and
	// independent of any buffer.
	Conditions []Condition
	// Prefilter is 1 + the index of the condition that the rule's author wants
	// checked first; 0: none.
	Prefilter int
	// Buffers must all match, each as a whole; see Buffer.
	Buffers []Buffer
	// Effects happen after a match, in the order of the text.
	Effects []Effect
	// Threshold limits the rule's alerts, Filter its matches; nil: none.
	Threshold *Threshold
	Filter    *DetectionFilter

	// Variables are the names that byte_extract and byte_math store to.
	Variables []string

	// What follows is derived from the rest.

	Fast FastPattern
	Apps AppSet // application protocols it can match on; 0: any and none
	// PerPacket: a condition is about the header or the size of a packet.
	PerPacket bool
	// ToServer and ToClient are the directions in which it can match.
	ToServer, ToClient bool
	// Unmet is the requirement that is not met here. Such a rule is to be
	// ignored, silently; nothing after its header is resolved.
	Unmet string

	order []int // buffer of each match, in the order of the text
}

// Endpoint is one side of a rule's header.
type Endpoint struct {
	Addresses *Addresses
	Ports     *Ports
}

// Action is what a match does.
type Action uint8

const (
	ActionAlert Action = iota
	ActionPass
	ActionDrop
	ActionReject // answers the sender of the packet
	ActionRejectDestination
	ActionRejectBoth
)

var actionNames = [...]string{"alert", "pass", "drop", "reject", "rejectdst", "rejectboth"}

func (a Action) String() string { return actionNames[a] }

// Blocks says whether packets are not forwarded.
func (a Action) Blocks() bool { return a >= ActionDrop }

func parseAction(s string) (Action, bool) {
	if s == "rejectsrc" {
		return ActionReject, true
	}
	for i, name := range actionNames {
		if s == name {
			return Action(i), true
		}
	}
	return 0, false
}

// Direction is how a rule's header is applied to a packet.
type Direction uint8

const (
	// OneWay: source and destination are those of the packet.
	OneWay Direction = iota
	// EitherWay: the same, or the other way round.
	EitherWay
	// Transaction: the packet's direction is not looked at; the rule's
	// buffers may be of both, and of one transaction.
	Transaction
)

func (d Direction) String() string { return [...]string{"->", "<>", "=>"}[d] }

// AlertMode says whether a match is told.
type AlertMode uint8

const (
	AlertByAction AlertMode = iota // every action but pass alerts
	AlertNever                     // noalert
	AlertAlways                    // alert; of a pass rule, say
)

// Alerts says whether a match of the rule is to be told.
func (r *Rule) Alerts() bool {
	return r.Alert == AlertAlways || r.Alert == AlertByAction && r.Action != ActionPass
}

// Target is the side of a packet that an attack is directed at.
type Target uint8

const (
	NoTarget Target = iota
	TargetSource
	TargetDestination
)

// Reference is where more is to be read. reference.config gives System a prefix.
type Reference struct{ System, ID string }

// Pair is a key and a value of a rule's metadata; the value may be empty.
type Pair struct{ Key, Value string }

// Condition is a check that needs no buffer, such as *Flow or *Integer.
type Condition interface {
	// Keyword is the canonical keyword.
	Keyword() string
	print(b []byte) []byte
	condition()
}

// Effect is what a match causes beside its action, such as *FlowBit.
type Effect interface {
	Keyword() string
	print(b []byte) []byte
	effect()
}

// FastPattern names the bytes by which a matcher finds out whether a rule is
// worth evaluating: Offset and Length are a part of that content's pattern.
type FastPattern struct {
	Buffer, Match  int  // indexes into Rule.Buffers and Buffer.Matches
	Offset, Length int  // Length 0: the rule has no candidate
	Chosen         bool // by the rule's author
	Only           bool // the author says that the content need not be checked again
}

// FastContent is the content of the fast pattern and its bytes, or nil.
func (r *Rule) FastContent() (*Content, []byte) {
	if r.Fast.Length == 0 {
		return nil, nil
	}
	c := r.Buffers[r.Fast.Buffer].Matches[r.Fast.Match].(*Content)
	return c, c.Pattern[r.Fast.Offset : r.Fast.Offset+r.Fast.Length]
}
