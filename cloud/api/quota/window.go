// Package quota owns how often and how many at once: fixed windows for
// requests and slots for streams. Memory is bounded; both kinds are safe for
// concurrent use and live in this process alone.
package quota

import (
	"container/list"
	"sync"
	"time"
)

// Windows counts events per key in windows that begin with a key's first event.
// All windows are equally long, so the order of their beginning is the order of
// their end: the oldest are forgotten first, at the latest when more than most
// keys are known.
type Windows struct {
	length time.Duration
	most   int

	mu    sync.Mutex // guards keys and order
	keys  map[string]*list.Element
	order list.List // of *window, oldest first
}

type window struct {
	key  string
	ends time.Time
	used int
}

// NewWindows makes windows of a length for at most so many keys.
func NewWindows(length time.Duration, most int) *Windows {
	return &Windows{length: length, most: most, keys: map[string]*list.Element{}}
}

// Grant is the answer to one event.
type Grant struct {
	OK        bool
	Limit     int
	Remaining int
	Reset     time.Time // when the whole limit is there again
}

// Take counts an event of key against limit, unless the limit is used up.
func (w *Windows) Take(key string, limit int, now time.Time) Grant {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := w.order.Front(); e != nil && !e.Value.(*window).ends.After(now); e = w.order.Front() {
		w.forget(e)
	}
	e, ok := w.keys[key]
	if !ok {
		if w.order.Len() >= w.most {
			w.forget(w.order.Front())
		}
		e = w.order.PushBack(&window{key: key, ends: now.Add(w.length)})
		w.keys[key] = e
	}
	win := e.Value.(*window)
	g := Grant{Limit: limit, Reset: win.ends}
	if win.used < limit {
		win.used++
		g.OK = true
	}
	g.Remaining = limit - win.used
	return g
}

func (w *Windows) forget(e *list.Element) {
	delete(w.keys, e.Value.(*window).key)
	w.order.Remove(e)
}

// Len is the number of keys known now.
func (w *Windows) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.order.Len()
}
