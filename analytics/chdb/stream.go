package chdb

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unsafe"
)

// stream is the output of a SELECT, fetched from the engine as it is read. It
// holds a session until its end or Close.
type stream struct {
	mu     sync.Mutex // guards all below
	engine *Engine
	ses    *session
	stop   func() // ends the watch on the context
	handle result
	chunk  result // the buffer that rest points into
	rest   []byte
	err    error // io.EOF at the end
}

// newStream starts the statement and fetches the first block, so that most
// failures are seen before an answer is begun.
func newStream(e *Engine, ses *session, st statement, stop func()) (*stream, error) {
	s := &stream{engine: e, ses: ses, stop: stop}
	s.handle = ses.call(ses.lib.streamQuery, st.text, st.format, st.params)
	if s.handle == nil {
		return nil, parseException("no result from the engine")
	}
	if text := ses.lib.resultError(s.handle); text != "" {
		ses.lib.destroyResult(s.handle)
		return nil, parseException(text)
	}
	if s.fetch(); s.err != nil && s.err != io.EOF {
		s.drop()
		return nil, s.err
	}
	return s, nil
}

// fetch replaces the chunk; at the end or on a failure it sets err.
func (s *stream) fetch() {
	lib := s.ses.lib
	s.dropChunk()
	chunk := lib.fetch(*s.ses.handle, s.handle)
	if chunk == nil {
		s.err = parseException("no result from the engine")
		return
	}
	if text := lib.resultError(chunk); text != "" {
		s.err = parseException(text)
		lib.destroyResult(chunk)
		return
	}
	n := lib.resultLength(chunk)
	if n == 0 {
		s.err = io.EOF
		lib.destroyResult(chunk)
		return
	}
	s.chunk, s.rest = chunk, unsafe.Slice((*byte)(lib.resultBuffer(chunk)), n)
}

func (s *stream) dropChunk() {
	if s.chunk != nil {
		s.ses.lib.destroyResult(s.chunk)
		s.chunk, s.rest = nil, nil
	}
}

// Read gives the engine's bytes. A failure in the middle is written into the
// body, framed as the server does, for the driver to find.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.rest) == 0 {
		if s.err == nil {
			s.fetch()
			continue
		}
		var ex *Exception
		if errors.As(s.err, &ex) {
			s.finish()
			s.err, s.rest = io.EOF, framed(ex)
			continue
		}
		return 0, s.err
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// framed is the exception block of the server's HTTP interface.
func framed(ex *Exception) []byte {
	const tag = "ngfwngfwngfwngfw" // 16 bytes by protocol
	text := ex.Text
	if !strings.HasPrefix(text, "Code:") {
		text = fmt.Sprintf("Code: %d. %s", max(ex.Code, 1), text)
	}
	return fmt.Appendf(nil, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", tag, text, len(text), tag)
}

// Close ends the statement if it still runs, and frees the session.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	s.rest = nil
	if s.err == nil {
		s.err = errors.New("read after close")
	}
	return nil
}

// finish gives everything back to the engine; more than once does nothing.
func (s *stream) finish() {
	if s.handle == nil {
		return
	}
	s.drop()
	s.stop()
	s.engine.release(s.ses)
}

// drop ends the statement and frees its result.
func (s *stream) drop() {
	s.dropChunk()
	if s.err != io.EOF {
		s.ses.lib.cancelQuery(*s.ses.handle, s.handle)
		// A statement that failed or was killed stays in the engine's process
		// list, with its memory, as long as its connection.
		s.ses.broken = true
	}
	s.ses.lib.destroyResult(s.handle)
	s.handle = nil
}
