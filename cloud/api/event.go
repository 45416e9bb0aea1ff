package api

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"
)

// serveEvents writes the feed as server-sent events: event is the frame's type,
// id its cursor, data the frame as a WebSocket has it.
func (b *bridge) serveEvents(ctx context.Context, w http.ResponseWriter, feed *feed) {
	b.metrics.streams.WithLabelValues("sse").Inc()
	defer b.metrics.streams.WithLabelValues("sse").Dec()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	put := func(kind, cursor string, text []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(b.cfg.StreamStall)) // not every writer has one
		if _, err := w.Write(event(kind, cursor, text)); err != nil {
			return false
		}
		b.metrics.frames.WithLabelValues(kind).Inc()
		return true
	}
	write := func(kind, cursor string, text []byte) bool { return put(kind, cursor, text) && control.Flush() == nil }
	if control.Flush() != nil {
		return
	}
	beat := time.NewTicker(b.cfg.Heartbeat)
	defer beat.Stop()
	for alive := true; alive; {
		select {
		case frame, ok := <-feed.frames:
			if !ok {
				if ctx.Err() == nil && b.closing.Err() == nil {
					write("error", "", errorFrame(ending(feed.err)))
				}
				return
			}
			for _, f := range framesOf(frame) {
				if text, ok := appendFrame(nil, f); ok {
					alive = alive && put(f.GetType(), f.GetCursor(), text)
				}
			}
			alive = alive && control.Flush() == nil
		case <-beat.C:
			alive = write("heartbeat", "", heartbeat)
		case <-ctx.Done():
			return
		case <-b.closing.Done():
			return
		}
	}
}

// event is one event of the text/event-stream format (HTML, section 9.2).
func event(kind, cursor string, text []byte) []byte {
	var out bytes.Buffer
	out.WriteString("event: " + kind + "\n")
	if cursor != "" && !strings.ContainsAny(cursor, "\r\n\x00") {
		out.WriteString("id: " + cursor + "\n")
	}
	out.WriteString("data: ")
	out.Write(text)
	out.WriteString("\n\n")
	return out.Bytes()
}
