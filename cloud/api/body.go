package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// drainFactor times the body limit is read away of a caller's body that is too large,
// so that its sender gets to read the answer and keeps the connection. A stranger's is
// not: net/http reads 256 KiB away, and closes the connection of whoever sends more.
const drainFactor = 16

// publicBody bounds the bodies of operations without a token: addresses and
// passwords.
const publicBody = 64 << 10

// takeBody reads the body of an operation. Who is asking is found out before: nothing
// is read for a stranger, whom the chain refuses.
func (f *front) takeBody(w http.ResponseWriter, r *http.Request, b *operation.Binding) ([]byte, *fault.Error) {
	if !hasBody(r) {
		return nil, nil
	}
	limit, drain := f.cfg.BodyLimit, drainFactor*f.cfg.BodyLimit
	if b.Permission == ngfwv1.Permission_PERMISSION_PUBLIC {
		limit, drain = min(limit, publicBody), 0
	} else if problem := f.stranger(r); problem != nil {
		f.hurry(w)
		return nil, problem
	}
	body, problem := f.readBody(w, r, limit, drain)
	if problem == nil && b.Body != "" && len(body) > 0 {
		problem = checkMedia(r.Header)
	}
	return body, problem
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// stranger says that the request has no good token. The chain says so again, and
// counts it.
func (f *front) stranger(r *http.Request) *fault.Error {
	token := bearer(r.Header.Get("Authorization"))
	if token == "" {
		return noToken()
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.cfg.RequestTimeout)
	defer cancel()
	if _, err := f.auth.Authenticate(ctx, token); err != nil {
		problem, _ := envelope.Classify(err)
		return problem
	}
	return nil
}

// hurry bounds the time in which net/http reads away what nobody wants.
func (f *front) hurry(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(f.cfg.BodyTimeout))
}

// readBody reads the whole body within the limit and the time.
func (f *front) readBody(w http.ResponseWriter, r *http.Request, limit, drain int64) ([]byte, *fault.Error) {
	// Only sockets have deadlines; a recorder in a test does without.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(f.cfg.BodyTimeout))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fault.New(envelope.Timeout, "the body did not arrive within %s", f.cfg.BodyTimeout)
	case err != nil:
		return nil, fault.New(fault.BadRequest, "the body cannot be read to its end")
	case int64(len(body)) > limit:
		_, _ = io.CopyN(io.Discard, r.Body, drain)
		return nil, fault.New(fault.PayloadTooLarge, "the body is larger than %d bytes", limit)
	}
	return body, nil
}

// unread answers without looking at the body.
func (f *front) unread(w http.ResponseWriter, r *http.Request, problem *fault.Error) {
	if hasBody(r) {
		f.hurry(w)
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
