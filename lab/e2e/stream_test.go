package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// frame is one of a live stream, and when it came.
type frame struct {
	at     time.Time
	text   string
	Type   string
	Cursor string
	Data   entry
	Error  *struct{ Code, Field, Message string }
}

// stream collects frames; each is held against the document.
type stream struct {
	t   *testing.T
	run *run
	cut context.CancelFunc

	mu     sync.Mutex
	frames []frame
	more   chan struct{} // closed and replaced with every frame
	ended  chan struct{}
	err    error // why, once ended is closed

	conn *websocket.Conn // of a WebSocket
}

func (r *run) newStream(t *testing.T) (*stream, context.Context) {
	ctx, cut := context.WithCancel(context.Background())
	s := &stream{t: t, run: r, cut: cut, more: make(chan struct{}), ended: make(chan struct{})}
	return s, ctx
}

// socket opens the log's stream as a WebSocket. It is open when this returns.
func (r *run) socket(t *testing.T, query string) *stream {
	t.Helper()
	s, ctx := r.newStream(t)
	conn, resp, err := websocket.Dial(ctx, strings.Replace(r.env["NGFW_URL"], "http", "ws", 1)+"/api/traffic/logs/stream"+query,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + r.env["NGFW_TOKEN"]}}})
	if err != nil {
		t.Fatalf("open the stream: %v, %v", resp, err)
	}
	s.conn = conn
	s.follow(func() (string, error) {
		_, text, err := conn.Read(ctx)
		return string(text), err
	})
	return s
}

// events opens the log's stream as server-sent events.
func (r *run) events(t *testing.T, query string) *stream {
	t.Helper()
	s, ctx := r.newStream(t)
	req, err := http.NewRequestWithContext(ctx, "GET", r.env["NGFW_URL"]+"/api/traffic/logs/stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.env["NGFW_TOKEN"])
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("open the stream: %s, %v", resp.Status, resp.Header)
	}
	lines := bufio.NewReader(resp.Body)
	s.follow(func() (string, error) {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				resp.Body.Close()
				return "", err
			}
			if data, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "data: "); ok {
				return data, nil
			}
		}
	})
	return s
}

func (s *stream) follow(next func() (string, error)) {
	go func() {
		defer close(s.ended)
		for {
			text, err := next()
			if err != nil {
				s.err = err
				return
			}
			f := frame{at: time.Now(), text: text}
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				s.t.Errorf("a frame is not JSON: %v: %s", err, text)
			}
			s.run.api.contract.AssertSchema(s.t, "StreamFrame", []byte(text))
			s.mu.Lock()
			s.frames = append(s.frames, f)
			close(s.more)
			s.more = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	s.t.Cleanup(s.close)
}

func (s *stream) close() {
	s.cut()
	<-s.ended
}

// await returns the first frame that fits, of those that came and will come.
func (s *stream) await(t *testing.T, fits func(frame) bool) frame {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for from := 0; ; {
		s.mu.Lock()
		frames, more := s.frames, s.more
		s.mu.Unlock()
		for ; from < len(frames); from++ {
			if fits(frames[from]) {
				return frames[from]
			}
		}
		select {
		case <-more:
		case <-s.ended:
			t.Fatalf("the stream ended: %v", s.err)
		case <-deadline.C:
			t.Fatalf("not among the %d frames of %v", from, patience)
		}
	}
}

// lag is the time from the packet to the frame.
func (f frame) lag() time.Duration {
	return f.at.Sub(time.UnixMicro(int64(f.Data.Timestamp * 1e6)))
}

// send sends a frame over the WebSocket.
func (s *stream) send(t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}
