package http1

import "sync"

// Bodies come and go with each transaction; what they were kept in is used again.
// There are two sizes, so that a small body does not hold a large piece.
const (
	smallBody = 16 << 10
	largeBody = 128 << 10
)

var smallBodies, largeBodies = sync.Pool{New: func() any { return new([smallBody]byte) }}, sync.Pool{New: func() any { return new([largeBody]byte) }}

// grow makes room for n more bytes, elsewhere if need be.
func grow(b []byte, n int) []byte {
	need := len(b) + n
	if need <= cap(b) {
		return b
	}
	var to []byte
	switch {
	case need <= 2048:
		return b
	case need <= smallBody:
		to = smallBodies.Get().(*[smallBody]byte)[:0]
	case need <= largeBody:
		to = largeBodies.Get().(*[largeBody]byte)[:0]
	default:
		return b
	}
	return append(to, b...)
}

// recycle gives memory back that nobody reads any more.
func recycle(b []byte) {
	switch cap(b) {
	case smallBody:
		smallBodies.Put((*[smallBody]byte)(b[:smallBody]))
	case largeBody:
		largeBodies.Put((*[largeBody]byte)(b[:largeBody]))
	}
}

// release gives the memory of a transaction back that the engine is done with.
func (t *Transaction) release() {
	for _, m := range [...]*message{&t.request, &t.response} {
		recycle(m.data)
		m.data = nil
		if m.file != nil {
			m.file.Data = nil
		}
	}
}
