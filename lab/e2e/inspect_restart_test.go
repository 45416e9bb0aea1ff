package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestVerdictsOutliveTheMatcher kills the agent under flows of each kind. What was blocked stays so
// and what has left the matcher goes on, dead agent or not and whatever fail_open says; what is in the
// midst of its inspection passes while nobody inspects if fail_open, and else waits.
func TestVerdictsOutliveTheMatcher(t *testing.T) {
	r := start(t)
	rules := filepath.Join(t.TempDir(), "restart.rules")
	text := `pass http any any -> any any (msg:"known to be good"; flow:established,to_server; http.host; content:"pass.example"; sid:1;)
drop http any any -> any any (msg:"known to be bad"; flow:established,to_server; http.host; content:"drop.example"; sid:2;)
`
	if err := os.WriteFile(rules, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	patient := r.serveAnswer(t, []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	for _, open := range []bool{true, false} {
		t.Run(fmt.Sprintf("fail_open %v", open), func(t *testing.T) {
			r.api.call(t, http.StatusOK, "PUT", "/api/ids/config", map[string]any{
				"enabled": true, "mode": "prevent", "fail_open": open, "sources": []any{map[string]any{"name": "restart", "file": rules}},
			}, nil)
			r.api.awaitSynced(t)

			const size = 60_000_000
			good := r.connect(t, lab.LAN1)
			good.say(t, fmt.Sprintf("GET /bytes/%d HTTP/1.1\r\nHost: pass.example\r\n\r\n", size))
			body := good.answer(t) // its head; the rest waits for a reader
			bad := r.connect(t, lab.LAN1)
			bad.say(t, "GET / HTTP/1.1\r\nHost: drop.example\r\n\r\n")
			if err := bad.silent(time.Second); err != nil {
				t.Errorf("before: %v", err)
			}
			labtest.Eventually(t, patience, func() error {
				s := r.matcher(t)
				if s.FlowsBlocked == 0 || s.FlowsBypassed == 0 {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			// Two requests are in the midst of their inspection.
			first, second := r.connectTo(t, lab.LAN1, patient), r.connectTo(t, lab.LAN1, patient)
			first.say(t, "GET / HTTP/1.1\r\nHost: a.exam")
			second.say(t, "GET / HTTP/1.1\r\nHost: b.exam")

			before := r.process("agent")
			restore := r.withhold("ngfw-agent")
			r.kill(before)
			if _, err := io.CopyN(io.Discard, body, size/3); err != nil {
				t.Errorf("a flow that had left the matcher stops with it: %v", err)
			}
			if err := bad.silent(time.Second); err != nil {
				t.Errorf("without the matcher: %v", err)
			}
			first.say(t, "ple\r\n\r\n")
			if open {
				first.answer(t)
			} else if err := first.silent(time.Second); err != nil {
				t.Errorf("fail_open is false: %v", err)
			}
			restore()
			r.awaitOther(t, "agent", before)
			r.api.awaitSynced(t)
			if !open {
				first.answer(t) // the client has sent it again meanwhile
			}
			second.say(t, "ple\r\n\r\n")
			second.answer(t)
			if _, err := io.CopyN(io.Discard, body, size/3*2); err != nil {
				t.Errorf("a flow that had left the matcher stops as it comes back: %v", err)
			}
			if err := bad.silent(time.Second); err != nil {
				t.Errorf("after the restart: %v", err)
			}
			if s := r.matcher(t); s.bytes() > size/4 {
				t.Errorf("a flow that had left the matcher goes through its queue again: %+v", s)
			}
		})
	}
}

// conn is a connection from a host of the lab.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (r *run) connect(t *testing.T, host string) *conn {
	t.Helper()
	return r.connectTo(t, host, net.JoinHostPort(lab.IP4(lab.INET).String(), "80"))
}

func (r *run) connectTo(t *testing.T, host, address string) *conn {
	t.Helper()
	c := &conn{}
	err := r.lab.In(host, func() (err error) {
		c.Conn, err = (&net.Dialer{Timeout: patience}).Dial("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.in = bufio.NewReader(c.Conn)
	return c
}

func (c *conn) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// answer waits for one, and gives its body.
func (c *conn) answer(t *testing.T) io.Reader {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(3 * patience))
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
	return resp.Body
}

// silent is nil if nothing comes for a while.
func (c *conn) silent(span time.Duration) error {
	c.SetReadDeadline(time.Now().Add(span))
	b, err := c.in.Peek(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// The reader remembers the error; what comes later is to be seen.
		c.in.Reset(c.Conn)
		return nil
	}
	return fmt.Errorf("%q came, %v, on a connection that is to be silent", b, err)
}

// bytes went through the queues.
func (i inspection) bytes() (n uint64) {
	for _, q := range i.Queues {
		n += q.Bytes
	}
	return n
}
