// Package app owns application protocols: finding out which one is spoken, and
// parsing it into transactions whose parts rules match on.
//
// The engine opens a Session for a flow and gives it the bytes, in order and each
// byte once. The session finds the protocol, whatever the port; from then
// on there is a Parser with transactions, which the engine asks for the buffers that
// rules name. What a parser is and must obey is in package tx; each protocol has a
// package of its own. A session is for one goroutine.
package app

import "ngfw.sh/dataplane/ids/app/tx"

// The parts of a parser, under the names that the engine uses.
type (
	Direction   = tx.Direction
	Parser      = tx.Parser
	Transaction = tx.Transaction
	Matcher     = tx.Matcher
	Frame       = tx.Frame
	Sided       = tx.Sided
	Buffer      = tx.Buffer
	File        = tx.File
	FileState   = tx.FileState
	Limits      = tx.Limits
	Done        = tx.Done
)

const (
	ToServer = tx.ToServer
	ToClient = tx.ToClient

	NotDone   = tx.NotDone
	Encrypted = tx.Encrypted
	GaveUp    = tx.GaveUp

	FileOpen      = tx.FileOpen
	FileClosed    = tx.FileClosed
	FileTruncated = tx.FileTruncated
)
