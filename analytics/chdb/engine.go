package chdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// Engine is the ClickHouse engine inside this process. It implements
// http.RoundTripper.
type Engine struct {
	lib  *library
	dir  *dataDir
	args []string // of every connection

	slots  chan struct{} // one token for each statement that may run
	mu     sync.Mutex    // guards idle and closed
	idle   []*session
	closed bool

	control sync.Mutex // guards killer
	killer  *session   // kills statements; never in the pool, so never busy

	marks atomic.Uint64
}

// ErrClosed answers a statement for an engine that was closed.
var ErrClosed = errors.New("the ClickHouse engine is closed")

// Open loads the library and opens the data directory. It takes about half a
// second and 200 MB.
func Open(cfg Config) (*Engine, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	lib, err := load(cfg.Library)
	if err != nil {
		return nil, err
	}
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		lib: lib, dir: dir, slots: make(chan struct{}, cfg.Connections),
		args: []string{
			"clickhouse",
			"--path=" + dir.path,
			"--max_server_memory_usage=" + strconv.FormatInt(cfg.MaxMemory, 10),
			"--mark_cache_size=" + strconv.FormatInt(cfg.MaxMemory/16, 10),
			// The default of this release answers before the rows are a part.
			"--async_insert=0",
			// Nobody reads these from an embedded engine.
			"--log_queries=0",
		},
	}
	if cfg.ConfigFile != "" {
		e.args = append(e.args, "--config-file="+cfg.ConfigFile)
	}
	if e.killer, err = e.connect(); err != nil {
		dir.close()
		return nil, err
	}
	return e, nil
}

// Close waits for running statements and shuts the engine down.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	e.mu.Unlock()
	for range cap(e.slots) {
		e.slots <- struct{}{} // a statement that still waits gives its slot back at once
	}
	for _, s := range e.idle {
		s.close()
	}
	e.control.Lock()
	defer e.control.Unlock()
	e.killer.close()
	e.lib.shutdown()
	e.dir.close()
	return nil
}

// acquire waits for a session to run one statement on.
func (e *Engine) acquire(ctx context.Context) (*session, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		<-e.slots
		return nil, ErrClosed
	}
	if n := len(e.idle); n > 0 {
		s := e.idle[n-1]
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		return s, nil
	}
	e.mu.Unlock()
	s, err := e.connect()
	if err != nil {
		<-e.slots
		return nil, err
	}
	return s, nil
}

// release gives a session back; a broken one is closed instead of reused.
func (e *Engine) release(s *session) {
	if s.broken {
		s.close()
	} else {
		e.mu.Lock()
		e.idle = append(e.idle, s)
		e.mu.Unlock()
	}
	<-e.slots
}

func (e *Engine) connect() (*session, error) {
	argv := make([]*byte, 0, len(e.args)+1)
	for _, a := range e.args {
		argv = append(argv, &append([]byte(a), 0)[0])
	}
	argv = append(argv, nil)
	var c *connection
	keepSignals(func() { c = e.lib.connect(int32(len(e.args)), &argv[0]) })
	if c == nil {
		return nil, fmt.Errorf("the ClickHouse engine does not open %s (its log, if any, is on standard error)", e.dir.path)
	}
	return &session{lib: e.lib, handle: c, settings: map[string]string{}}, nil
}

// mark names a statement inside the engine's process list.
func (e *Engine) mark() string { return "/* ngfw " + strconv.FormatUint(e.marks.Add(1), 10) + " */" }

// kill asks the engine to end the statement with this mark. It may not have
// started yet, so the caller repeats until the statement is back.
func (e *Engine) kill(mark string) {
	e.control.Lock()
	defer e.control.Unlock()
	e.killer.query("KILL QUERY WHERE startsWith(query, '"+mark+"') ASYNC", "Null", nil)
}
