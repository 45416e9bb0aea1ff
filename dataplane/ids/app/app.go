// Package app owns application protocols: finding out which one is spoken, and
// parsing it into transactions whose parts rules match on.
//
// The engine gives a Parser the bytes of a flow, in order and each byte once, and
// asks its transactions for the buffers that rules name. Parsers take anything:
// whatever a peer sends makes events, never an error or a panic, and memory
// within the Limits. They keep what they need of what they were fed and do not
// keep the slice. A Parser and what it gives out are for one goroutine, and
// buffers are valid until it is fed again.
package app

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

// Buffer is bytes that rules match on.
type Buffer struct {
	Data []byte
	// Offset is the place of Data[0] in the whole, where the beginning is no longer
	// kept (bodies).
	Offset uint64
	// Whole says that the buffer will not grow.
	Whole bool
}

// File is a file that a transaction carries.
type File struct {
	ID   uint32 // in its flow
	Name string
	// Data is what is kept of it, from Offset on; Size is what has been seen.
	Data   []byte
	Offset uint64
	Size   uint64
	State  FileState
	// Sums are known when the file is closed and Hash was asked for.
	MD5, SHA1, SHA256 []byte
}

// FileState is how far a file is.
type FileState uint8

const (
	FileOpen FileState = iota
	FileClosed
	FileTruncated // its end never came, or a gap or a limit cut it
)

// Limits bound what a parser keeps and looks at. Zero means the default, which is that of
// Suricata's own configuration file.
type Limits struct {
	RequestBody, ResponseBody uint64 // bytes of a body to look at; 100 KiB
	Transactions              int    // open at a time in a flow
	Headers                   int    // of one message
	HeaderBytes               int
	DecompressedBytes         uint64 // of one body
	HashFiles                 bool   // compute sums of files
	FileStore                 uint64 // bytes of a file to keep while it is open
}
