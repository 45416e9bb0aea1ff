package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	tokenEnded   websocket.StatusCode = 4401     // the token expired or was revoked
	maxFrameSize                      = 64 << 10 // of what a client sends
)

func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func sameHost(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// socket is one WebSocket and the feed that it shows now.
type socket struct {
	*bridge
	conn *websocket.Conn
	wire *corked // below conn
	ex   *exchange
	feed *feed
	text []byte // of the frame that is written
}

func (b *bridge) serveSocket(ctx context.Context, w http.ResponseWriter, ex *exchange, feed *feed) {
	// The origin has been judged before the upgrade.
	below := &corkable{ResponseWriter: w}
	conn, err := websocket.Accept(below, ex.request, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil { // the library has answered
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrameSize)
	b.metrics.streams.WithLabelValues("websocket").Inc()
	defer b.metrics.streams.WithLabelValues("websocket").Dec()
	s := &socket{bridge: b, conn: conn, wire: below.conn, ex: ex, feed: feed}
	s.run(ctx)
}

func (s *socket) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	incoming := make(chan []byte)
	go s.read(ctx, incoming)
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	for alive := true; alive; {
		select {
		case frame, ok := <-s.feed.frames:
			if !ok {
				s.end(ctx, ending(s.feed.err))
				return
			}
			alive = s.writeAll(ctx, framesOf(frame))
		case text, ok := <-incoming:
			if !ok { // the client is gone
				return
			}
			alive = s.hear(ctx, text)
		case <-beat.C:
			alive = s.write(ctx, "heartbeat", heartbeat)
		case <-s.closing.Done():
			s.conn.Close(websocket.StatusGoingAway, "the service restarts")
			return
		}
	}
}

// read hands on what the client sends until it is gone.
func (s *socket) read(ctx context.Context, incoming chan<- []byte) {
	defer close(incoming)
	for {
		kind, text, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText {
			text = nil // answered as malformed
		}
		select {
		case incoming <- text:
		case <-ctx.Done():
			return
		}
	}
}

func (s *socket) write(ctx context.Context, kind string, text []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StreamStall)
	defer cancel()
	if s.conn.Write(ctx, websocket.MessageText, text) != nil {
		return false
	}
	s.metrics.frames.WithLabelValues(kind).Inc()
	return true
}

// writeAll sends frames in as few packets as they fit: most of what a frame
// costs is the system call.
func (s *socket) writeAll(ctx context.Context, frames []*ngfwv1.StreamFrame) bool {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StreamStall)
	defer cancel()
	s.wire.cork()
	for _, f := range frames {
		var ok bool
		if s.text, ok = appendFrame(s.text[:0], f); !ok {
			continue
		}
		if s.conn.Write(ctx, websocket.MessageText, s.text) != nil {
			return false
		}
		s.metrics.frames.WithLabelValues(f.GetType()).Inc()
	}
	return s.wire.uncork(time.Now().Add(s.cfg.StreamStall)) == nil
}

// end says why the feed ended and closes with the code that belongs to it.
func (s *socket) end(ctx context.Context, f *fault.Error) {
	code := websocket.StatusInternalError
	switch {
	case s.closing.Err() != nil:
		s.conn.Close(websocket.StatusGoingAway, "the service restarts")
		return
	case f.Code == fault.Unauthorized:
		code = tokenEnded
	case f.Code == fault.Unavailable:
		code = websocket.StatusTryAgainLater
	case f.Code != fault.Internal:
		code = websocket.StatusPolicyViolation
	}
	s.write(ctx, "error", errorFrame(f))
	s.conn.Close(code, closeReason(f.Message))
}

// closeReason fits RFC 6455's 123 bytes.
func closeReason(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "")
	}
	return s
}
