package chdb

import (
	"fmt"
	"io"
	"runtime"
)

// insert writes the rows that r holds. It returns nil only when they are a
// part of the table. A reader that fails, or that ends inside a block, inserts
// nothing of that block.
func (s *session) insert(st statement, r io.Reader) error {
	q, format := []byte(st.text), []byte(st.format)
	in := s.lib.insert(*s.handle, &q[0], uint(len(q)), &format[0], uint(len(format)))
	runtime.KeepAlive(q)
	runtime.KeepAlive(format)
	if in == nil {
		return parseException("no insert stream from the engine")
	}
	defer s.lib.destroyInsert(in)
	if text := s.lib.insertError(in); text != "" {
		return parseException(text)
	}
	buf := make([]byte, 256<<10)
	for end := false; !end; {
		n := 0
		for n < len(buf) && !end {
			// Not io.ReadFull: a request cut off in the middle must not look like
			// one that ended.
			m, err := r.Read(buf[n:])
			n += m
			if err != nil && err != io.EOF {
				s.lib.cancelInsert(in)
				return fmt.Errorf("read rows to insert: %w", err)
			}
			end = err == io.EOF
		}
		if n > 0 && s.lib.append(in, &buf[0], uint(n)) != 0 {
			text := s.lib.insertError(in)
			if text == "" {
				text = "the engine refused rows"
			}
			s.lib.cancelInsert(in)
			return parseException(text)
		}
	}
	_, err := s.take(s.lib.done(in))
	return err
}
