package api

import (
	"encoding/json"
	"errors"
	"io"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

var heartbeat = []byte(`{"type":"heartbeat"}`)

// frameJSON is the specification's form of a frame; ok is false for one that
// the reader has no use for (a service's own heartbeat).
func frameJSON(f *ngfwv1.StreamFrame) (text []byte, ok bool) {
	var v any
	switch f.GetType() {
	case "log", "alert":
		data := wirejson.Append(nil, f.GetData())
		if f.GetType() == "alert" {
			data = wirejson.Append(nil, f.GetAlert())
		}
		v = struct {
			Type   string          `json:"type"`
			Cursor string          `json:"cursor"`
			Data   json.RawMessage `json:"data"`
		}{f.GetType(), f.GetCursor(), data}
	case "dropped":
		v = struct {
			Type  string `json:"type"`
			Count int64  `json:"count"`
		}{f.GetType(), f.GetCount()}
	case "gap":
		v = struct {
			Type string `json:"type"`
			From string `json:"from"`
			To   string `json:"to"`
		}{f.GetType(), f.GetFrom(), f.GetTo()}
	default:
		return nil, false
	}
	text, err := json.Marshal(v)
	return text, err == nil
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
