// Package tx owns what parsers of application protocols give to the engine:
// transactions, their buffers and files, and the pieces every parser is built of.
//
// Parsers take anything: whatever a peer sends makes events, never an error or a
// panic, and memory within the Limits. They keep what they need of what they
// were fed and do not keep the slice. A Parser and what it gives out are for
// one goroutine, and buffers are valid until it is fed again.
package tx

import "ngfw.sh/dataplane/ids/rule"

// Direction is a side of a flow.
type Direction uint8

const (
	ToServer Direction = iota // sent by the flow's client
	ToClient
)

// Other is the opposite direction.
func (d Direction) Other() Direction { return d ^ 1 }

// Parser parses one flow.
type Parser interface {
	// Protocol is what the parser parses. It may change once more (HTTP/1 that is
	// upgraded, mail that starts TLS); the engine asks after each Feed.
	Protocol() rule.Protocol
	// Feed takes the next bytes: of a stream, whatever is new; of UDP, a datagram.
	Feed(dir Direction, data []byte)
	// Gap says that n bytes of a stream will never come.
	Gap(dir Direction, n int)
	// Close says that a direction sends no more.
	Close(dir Direction)
	// Transactions are those not yet freed, the oldest first.
	Transactions() []Transaction
	// Free forgets the transactions before id: the engine is done with them.
	Free(id uint64)
	// Done says that nothing more in this flow is worth feeding: it is encrypted
	// from here on, or so broken that the parser gave up.
	Done() Done
}

// Done is why a parser needs no more bytes.
type Done uint8

const (
	NotDone Done = iota
	Encrypted
	GaveUp
)

// Transaction is one exchange of a protocol: an HTTP request and its response, a DNS
// query or answer, a whole TLS handshake.
type Transaction interface {
	// ID counts from 0 in each flow.
	ID() uint64
	// Complete says that a direction has all it will get.
	Complete(dir Direction) bool
	// Buffers appends the buffers of a kind that a direction has so far. A buffer that
	// may still come is not there; when no more can come, Settled says so.
	Buffers(kind *rule.BufferKind, dir Direction, to []Buffer) []Buffer
	// Settled says that no further buffer of the kind will appear in the direction and
	// those there are will not grow: a negated match may be decided.
	Settled(kind *rule.BufferKind, dir Direction) bool
	// Numbers appends the values of a keyword that compares a number of the protocol
	// (rule.Integer.Name, such as "dns.opcode"), as known so far. Words of keywords
	// that list names (ssl_version, ssl_state, ...) are numbers too, in the
	// encoding that the keyword's type in package rule documents.
	Numbers(keyword string, dir Direction, to []uint64) []uint64
	// Events are the names of what was odd, without the protocol ("unable_to_match_response_to_request").
	Events() []string
	// Files are those that a direction carries, in order.
	Files(dir Direction) []*File
	// Record is what the event log says of it: the key ("http") and a value that
	// encodes as JSON, in the fields of Suricata's EVE. Nil value: nothing to say.
	Record() (key string, value any)
	// Slot is the engine's own, kept with the transaction.
	Slot() *any
}

// Matcher is a Transaction of a protocol whose keywords are more than buffers and
// numbers: dcerpc.iface, dnp3_obj, http2.settings, modbus and their like.
type Matcher interface {
	// Words says whether the transaction satisfies a keyword with these words; known
	// is false when the keyword is none of the protocol's.
	Words(keyword string, args []string, dir Direction) (match, known bool)
}

// Sided is a Transaction that is one message: in the other direction there is nothing
// for rules to look at, not even its events.
type Sided interface{ Inspected(dir Direction) bool }

// Buffer is bytes that rules match on.
type Buffer struct {
	Data []byte
	// Offset is the place of Data[0] in the whole, where the beginning is no longer
	// kept (bodies).
	Offset uint64
	// Whole says that the buffer will not grow.
	Whole bool
}

// Limits bound what a parser keeps and looks at. Zero means the default, which is that of
// Suricata's own configuration file.
type Limits struct {
	RequestBody, ResponseBody uint64 // bytes of a body to look at; 100 KiB
	Transactions              int    // open at a time in a flow; 512
	Headers                   int    // of one message; 1024
	HeaderBytes               int    // of one header line; 18000
	DecompressedBytes         uint64 // of one body; 1 MiB
	DecompressLayers          int    // content encodings on one body; 2
	HashFiles                 bool   // compute sums of files
	FileStore                 uint64 // bytes of a file to keep while it is open; 128 KiB, and no less than of a body
	Frames                    bool   // keep frames for rules that ask for them
	DNP3Objects, DNP3Points   int    // of a message; 2048 and 16384
	MQTTMessage               uint64 // of one message; 1 MiB
	HTTP2Table                uint32 // bytes of the table that headers are packed by; 64 KiB
	// TransactionsOf are other bounds of protocols by name ("ftp"), where they are configured.
	TransactionsOf map[string]int
	// DoubleDecodePath and DoubleDecodeQuery decode percent signs twice.
	DoubleDecodePath, DoubleDecodeQuery bool
}

// Filled are the limits with defaults in place of zeros.
func (l Limits) Filled() Limits {
	set64 := func(v *uint64, to uint64) {
		if *v == 0 {
			*v = to
		}
	}
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set64(&l.RequestBody, 100<<10)
	set64(&l.ResponseBody, 100<<10)
	set64(&l.DecompressedBytes, 1<<20)
	set64(&l.FileStore, 128<<10)
	// What is looked at of a body is kept until it was: one packet may bring all of it.
	l.FileStore = max(l.FileStore, l.RequestBody, l.ResponseBody)
	set(&l.Transactions, 512)
	set(&l.Headers, 1024)
	set(&l.HeaderBytes, 18000)
	set(&l.DecompressLayers, 2)
	set(&l.DNP3Objects, 2048)
	set(&l.DNP3Points, 16384)
	set64(&l.MQTTMessage, 1<<20)
	if l.HTTP2Table == 0 {
		l.HTTP2Table = 1 << 16
	}
	return l
}

// Proto is the protocol of a name that the rule language must know.
func Proto(name string) rule.Protocol {
	p, ok := rule.ParseProtocol(name)
	if !ok {
		panic("tx: the rule language has no protocol " + name)
	}
	return p
}

// Vocabulary is what rules can ask of a protocol's transactions.
type Vocabulary struct {
	Kinds    []string // of buffers, by canonical name
	Keywords []string // that Numbers or Words answer
	Frames   []string // by full name
}
