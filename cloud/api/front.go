package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/internal/fault"
)

// front is the HTTP side: it finds the operation of a request, reads its body
// and hands both on. It decides nothing that the chain decides.
type front struct {
	cfg       Config
	auth      Authenticator
	table     *operation.Table
	gateway   *gateway
	bridge    *bridge
	pages     map[string]http.Handler // by exact path
	dashboard Dashboard               // nil for none
	log       *slog.Logger
	metrics   *metrics
	now       func() time.Time
}

func (f *front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	started := f.now()
	w := &seen{ResponseWriter: rw, pattern: "other", id: r.Header.Get("X-Request-Id")}
	if !saneID(w.id) {
		w.id = newID()
	}
	secure(w.Header())
	w.Header().Set("X-Request-Id", w.id)
	f.metrics.inFlight.Inc()
	defer func() {
		p := recover()
		if p == http.ErrAbortHandler { // breaks the connection off; it is no failure of ours
			defer panic(p)
		} else if p != nil {
			f.log.Error("panic in the front", "request_id", w.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if w.status == 0 {
				envelope.Write(w, r, fault.New(fault.Internal, "internal error; the log has it under request id %s", w.id))
			}
		}
		f.metrics.inFlight.Dec()
		took, status := f.now().Sub(started), w.status
		if r.Context().Err() != nil && status >= 500 {
			status = 499 // the client went away: no failure of ours
		}
		method := verb(r.Method)
		f.metrics.answered(method, w.pattern, fmt.Sprint(status), took, w.stream)
		f.log.Info("request", "method", method, "pattern", w.pattern, "status", status,
			"duration", took, "request_id", w.id, "user_id", w.user)
	}()
	f.cors(w, r)
	f.route(w, r)
}

func (f *front) route(w *seen, r *http.Request) {
	if h, ok := f.pages[r.URL.Path]; ok {
		w.pattern = r.URL.Path
		f.page(w, r, h)
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments, err := split(r.URL)
	if err != nil {
		f.unread(w, r, fault.New(fault.BadRequest, "the path is not well percent-encoded"))
		return
	}
	binding, verbs := f.table.Find(method, segments)
	switch {
	case len(verbs) == 0 && f.dashboard != nil && r.URL.Path != "/api" && !strings.HasPrefix(r.URL.Path, "/api/") && f.dashboard.Has(r):
		w.pattern = "dashboard"
		f.page(w, r, f.dashboard)
	case len(verbs) == 0:
		f.unread(w, r, fault.New(fault.NotFound, "there is nothing at this path; /openapi.json lists what there is"))
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allow(verbs))
		w.WriteHeader(http.StatusNoContent)
	case binding == nil:
		w.Header().Set("Allow", allow(verbs))
		f.unread(w, r, fault.New(envelope.MethodNotAllowed, "%s is not allowed here: use %s", verb(r.Method), strings.Join(verbs, " or ")))
	default:
		f.operate(w, r, binding, binding.Values(segments), slices.Contains(verbs, http.MethodPut))
	}
}

// page serves what is no operation.
func (f *front) page(w *seen, r *http.Request, h http.Handler) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.ServeHTTP(w, r)
	case http.MethodOptions:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		f.unread(w, r, fault.New(envelope.MethodNotAllowed, "%s is not allowed here: use GET", verb(r.Method)))
	}
}

// operate makes an exchange of the request.
func (f *front) operate(w *seen, r *http.Request, b *operation.Binding, path map[string]string, writable bool) {
	w.pattern = b.Pattern
	body, problem := f.takeBody(w, r, b)
	ex := &exchange{binding: b, request: r, body: body, path: path, inward: inward{
		RequestID:     w.id,
		Authorization: r.Header.Get("Authorization"),
		Device:        r.Header.Get("X-Device-ID"),
		Address:       f.address(r),
		Agent:         r.UserAgent(),
		Idempotency:   r.Header.Get("Idempotency-Key"),
		IfMatch:       strings.Join(r.Header.Values("If-Match"), ","),
		Socket:        w.id + newID(),
	}}
	ex.origins, ex.secure, ex.cookieLifetime = f.cfg.Origins, f.isSecure(r), f.cfg.CookieLifetime
	if problem != nil {
		ex.refuse(problem)
	} else if header := unsupported(r, b); header != "" {
		ex.refuse(badParameter(header, "%s is not supported here: leave it out", header))
	}
	if b.Stream {
		w.stream = true
		f.bridge.serve(w, ex)
		w.user = ex.user
		return
	}
	if b.Download {
		w.stream = true
		defer func() { w.user = ex.user }()
		f.bridge.download(w, ex)
		return
	}
	out := &answer{header: http.Header{}}
	f.gateway.serve(out, ex)
	w.user = ex.user
	if ex.setCookie != nil {
		http.SetCookie(w, ex.setCookie)
	}
	out.send(w, r, b, writable)
}

// unsupported names a precondition that would be ignored: a client that sends
// one relies on it.
func unsupported(r *http.Request, b *operation.Binding) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ""
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" && (name != "If-Match" || !b.IfMatch) {
			return name
		}
	}
	return ""
}

func allow(verbs []string) string {
	all := append([]string{"OPTIONS"}, verbs...)
	if slices.Contains(verbs, http.MethodGet) {
		all = append(all, http.MethodHead)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// split unescapes each segment by itself, so that %2F stays inside of one.
func split(u *url.URL) ([]string, error) {
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, err
		}
		segments[i] = plain
	}
	return segments, nil
}
