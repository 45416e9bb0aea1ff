package api

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

var heartbeat = []byte(`{"type":"heartbeat"}`)

// framesOf are the frames of a message: a bundle's, or the one that it is.
func framesOf(f *ngfwv1.StreamFrame) []*ngfwv1.StreamFrame {
	if f.GetType() == "bundle" {
		return f.GetBundle()
	}
	return []*ngfwv1.StreamFrame{f}
}

// appendFrame writes the specification's form of a frame; ok is false for one
// that the reader has no use for (a service's own heartbeat).
func appendFrame(b []byte, f *ngfwv1.StreamFrame) (_ []byte, ok bool) {
	member := func(name, value string) { b = wirejson.AppendText(append(b, name...), value) }
	member(`{"type":`, f.GetType())
	switch f.GetType() {
	case "log", "alert":
		member(`,"cursor":`, f.GetCursor())
		b = append(b, `,"data":`...)
		switch {
		case len(f.GetJson()) > 0:
			b = append(b, f.GetJson()...)
		case f.GetType() == "alert":
			b = wirejson.Append(b, f.GetAlert())
		default:
			b = wirejson.Append(b, f.GetData())
		}
	case "dropped":
		b = strconv.AppendInt(append(b, `,"count":`...), f.GetCount(), 10)
	case "gap":
		member(`,"from":`, f.GetFrom())
		member(`,"to":`, f.GetTo())
	default:
		return nil, false
	}
	return append(b, '}'), true
}

func errorFrame(f *fault.Error) []byte {
	text, err := json.Marshal(struct {
		Type  string        `json:"type"`
		Error envelope.Body `json:"error"`
	}{"error", envelope.Of(f)})
	if err != nil {
		return []byte(`{"type":"error","error":{"code":"INTERNAL_ERROR","message":"internal error","details":{}}}`)
	}
	return text
}

// ending is the fault that a feed ended with. A service has no reason to end a
// stream by itself, so that is one, too.
func ending(err error) *fault.Error {
	if err == nil || errors.Is(err, io.EOF) {
		return fault.New(fault.Unavailable, "the stream ended; connect again")
	}
	f, _ := envelope.Classify(err)
	return f
}
