package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/etag"
)

// outgoing lets through what the chain and the services put into the header of
// a gRPC answer.
func outgoing(key string) (string, bool) {
	switch key {
	case etag.Header, "x-config-version", "x-data-source", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
		"ratelimit", "ratelimit-policy", "retry-after", "link", "location", "idempotent-replayed":
		return key, true
	}
	return "", false
}

// answer collects what the gateway writes, so that the header can still be
// completed from the body.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// send writes the answer as the binding wants it: its status, an ETag where the
// service tells a state or the resource can be replaced, 304 if the client has it
// already.
func (a *answer) send(w http.ResponseWriter, r *http.Request, b *operation.Binding, writable bool) {
	h := w.Header()
	if a.status == http.StatusOK {
		a.status = b.Success
	}
	ok := a.status >= 200 && a.status < 300
	if a.status == http.StatusNoContent {
		a.body.Reset()
		a.header.Del("Content-Type")
		a.header.Del("Content-Length")
	}
	state := a.header.Get(etag.Header)
	a.header.Del(etag.Header)
	replaced := writable && a.status == http.StatusOK && (b.Verb == http.MethodGet || b.Verb == http.MethodPut)
	if ok && a.status != http.StatusNoContent && (replaced || state != "") {
		tag := etag.Tag(state, a.body.Bytes())
		h.Set("ETag", tag)
		h.Set("Cache-Control", "private, no-cache")
		if b.Verb == http.MethodGet && matches(r.Header.Values("If-None-Match"), tag) {
			a.status = http.StatusNotModified
			a.body.Reset()
			a.header.Del("Content-Type")
		}
	}
	for name, values := range a.header {
		h[name] = values
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead && a.body.Len() > 0 {
		_, _ = w.Write(a.body.Bytes()) // a client that is gone
	}
}

// matches compares weakly, as RFC 9110 section 13.1.2 wants for If-None-Match.
func matches(header []string, tag string) bool {
	for _, part := range strings.Split(strings.Join(header, ","), ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// nextPage is the address of the next page of an answer that has one.
func nextPage(u *url.URL, m protoreflect.Message) string {
	fd := m.Descriptor().Fields().ByName("next_cursor")
	if fd == nil || fd.Kind() != protoreflect.StringKind || m.Get(fd).String() == "" {
		return ""
	}
	q := u.Query()
	q.Del("offset")
	q.Set("cursor", m.Get(fd).String())
	return u.EscapedPath() + "?" + q.Encode()
}
