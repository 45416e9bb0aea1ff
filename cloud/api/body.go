package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/internal/fault"
)

// drainFactor times the body limit is read away of a body that is too large, so
// that its sender gets to read the answer and keeps the connection.
const drainFactor = 16

// readBody reads the whole body within the limit and the time.
func (f *front) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *fault.Error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	// Only sockets have deadlines; a recorder in a test does without.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(f.cfg.BodyTimeout))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(io.LimitReader(r.Body, f.cfg.BodyLimit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fault.New(envelope.Timeout, "the body did not arrive within %s", f.cfg.BodyTimeout)
	case err != nil:
		return nil, fault.New(fault.BadRequest, "the body cannot be read to its end")
	case int64(len(body)) > f.cfg.BodyLimit:
		_, _ = io.CopyN(io.Discard, r.Body, drainFactor*f.cfg.BodyLimit)
		return nil, fault.New(fault.PayloadTooLarge, "the body is larger than %d bytes", f.cfg.BodyLimit)
	}
	return body, nil
}

// unread answers without looking at the body, but reads it away.
func (f *front) unread(w http.ResponseWriter, r *http.Request, problem *fault.Error) {
	if _, err := f.readBody(w, r); err != nil {
		problem = err
	}
	envelope.Write(w, r, problem)
}

// checkMedia accepts JSON in UTF-8, and a request that does not say what it
// sends.
func checkMedia(h http.Header) *fault.Error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return fault.New(envelope.UnsupportedMedia, "the content encoding is not supported: send the body as it is")
	}
	given := h.Get("Content-Type")
	if given == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") ||
		charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault.New(envelope.UnsupportedMedia, "the media type is not supported: send application/json")
	}
	return nil
}
