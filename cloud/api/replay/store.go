// Package replay owns the first answers to requests that carry an
// Idempotency-Key, so that a repeated request is answered and not done again.
// Answers live in this process alone, for a time and up to a number, and while one is
// made others wait for it; what outlives the process is its user's. Failures are forgotten at
// once, so that they can be tried again.
package replay

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// ErrOther says that the key was used for another request.
var ErrOther = errors.New("the idempotency key belongs to another request")

// Store keeps answers of type A. It is safe for concurrent use.
type Store[A any] struct {
	keep time.Duration
	most int

	mu    sync.Mutex // guards keys and order
	keys  map[string]*list.Element
	order list.List // of *entry[A], oldest first
}

type entry[A any] struct {
	key    string
	hash   [32]byte
	ends   time.Time
	done   chan struct{} // closed when answer and err are final
	answer A
	err    error
}

// New makes a store that keeps at most so many answers for a time.
func New[A any](keep time.Duration, most int) *Store[A] {
	return &Store[A]{keep: keep, most: most, keys: map[string]*list.Element{}}
}

// Do answers with what the first call for key answered, or calls do. hash stands
// for the request. While the first call runs, others wait for it; if it fails,
// one of them takes its place. again says that the answer is a repeated one.
func (s *Store[A]) Do(ctx context.Context, key string, hash [32]byte, now time.Time, do func() (A, error)) (answer A, again bool, err error) {
	for {
		e, first := s.begin(key, hash, now)
		if first {
			answer, err = s.run(e, do)
			return answer, false, err
		}
		if e.hash != hash {
			return answer, false, ErrOther
		}
		select {
		case <-e.done:
			if e.err == nil {
				return e.answer, true, nil
			}
		case <-ctx.Done():
			return answer, false, ctx.Err()
		}
	}
}

func (s *Store[A]) begin(key string, hash [32]byte, now time.Time) (e *entry[A], first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := s.order.Front(); f != nil && !f.Value.(*entry[A]).ends.After(now); f = s.order.Front() {
		s.forget(f)
	}
	if known, ok := s.keys[key]; ok {
		return known.Value.(*entry[A]), false
	}
	if s.order.Len() >= s.most {
		s.forget(s.order.Front())
	}
	e = &entry[A]{key: key, hash: hash, ends: now.Add(s.keep), done: make(chan struct{})}
	s.keys[key] = s.order.PushBack(e)
	return e, true
}

// run calls do; a panic counts as a failure and goes on.
func (s *Store[A]) run(e *entry[A], do func() (A, error)) (A, error) {
	e.err = errors.New("the first request ended without an answer")
	defer func() {
		if e.err != nil {
			s.mu.Lock()
			if known, ok := s.keys[e.key]; ok && known.Value == e {
				s.forget(known)
			}
			s.mu.Unlock()
		}
		close(e.done)
	}()
	e.answer, e.err = do()
	return e.answer, e.err
}

func (s *Store[A]) forget(e *list.Element) {
	delete(s.keys, e.Value.(*entry[A]).key)
	s.order.Remove(e)
}
