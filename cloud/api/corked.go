package api

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"
)

// corkBytes is how much a corked connection holds back at most.
const corkBytes = 64 << 10

// corked is a connection that can hold back what is written, so that many small
// writes are one. Uncorked it writes at once.
type corked struct {
	net.Conn

	mu   sync.Mutex // guards below, and the order of writes
	held []byte
	on   bool
}

func (c *corked) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = true
}

// uncork writes what was held back, by the deadline.
func (c *corked) uncork(deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	if len(c.held) == 0 {
		return nil
	}
	if err := c.Conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	err := c.flush()
	if e := c.Conn.SetWriteDeadline(time.Time{}); err == nil {
		err = e
	}
	return err
}

// flush writes what is held; the lock is held, too.
func (c *corked) flush() error {
	_, err := c.Conn.Write(c.held)
	c.held = c.held[:0]
	return err
}

// Write implements net.Conn.
func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return c.Conn.Write(p)
	}
	if c.held = append(c.held, p...); len(c.held) < corkBytes {
		return len(p), nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// corkable is an answer whose connection, once taken over, is corked.
type corkable struct {
	http.ResponseWriter
	conn *corked // once it is taken over
}

// Hijack implements http.Hijacker.
func (w *corkable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &corked{Conn: conn}
	return w.conn, bufio.NewReadWriter(buffered.Reader, bufio.NewWriter(w.conn)), nil
}
