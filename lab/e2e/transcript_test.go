package e2e

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// transcript keeps what a process says, for those who wait for a word of it.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed and replaced with every word
}

func newTranscript() *transcript { return &transcript{more: make(chan struct{})} }

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns whether a word was said before the limit and before the
// speaker's end, which it leaves in the channel.
func (s *transcript) await(word string, limit time.Duration, end chan error) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		said, more := strings.Contains(s.text.String(), word), s.more
		s.mu.Unlock()
		if said {
			return true
		}
		select {
		case <-more:
		case <-deadline.C:
			return false
		case err := <-end:
			end <- err
			return strings.Contains(s.String(), word)
		}
	}
}
