package envelope

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"ngfw.sh/internal/fault"
)

const problemType = "application/problem+json"

// Body is the error member of the envelope.
type Body struct {
	Code    fault.Code     `json:"code"`
	Message string         `json:"message"`
	Field   string         `json:"field,omitempty"`
	Details map[string]any `json:"details"`
}

// Of makes the envelope's error of a fault.
func Of(f *fault.Error) Body {
	b := Body{Code: f.Code, Message: f.Message, Field: f.Field(), Details: map[string]any{}}
	for k, v := range f.Details {
		b.Details[k] = v
	}
	if len(f.Fields) > 0 {
		b.Details["validation_errors"] = f.Fields
	}
	return b
}

// Write answers r with the fault: as the envelope, or as RFC 9457 if r accepts
// that and not the plain one.
func Write(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	code := HTTPStatus(f.Code)
	h := w.Header()
	if code == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", challenge(r))
	}
	body, media := any(map[string]any{"error": Of(f)}), "application/json"
	if WantsProblem(r.Header.Values("Accept")) {
		media = problemType
		body = map[string]any{
			"type":   "about:blank",
			"title":  http.StatusText(code),
			"status": code,
			"detail": f.Message,
			"error":  Of(f),
		}
	}
	text, err := json.Marshal(body)
	if err != nil { // details that are no JSON
		text = fmt.Appendf(nil, `{"error":{"code":%q,"message":"internal error","details":{}}}`, fault.Internal)
	}
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(text, '\n')) // a client that is gone
	}
}

// challenge follows RFC 6750: no error code when no token was given.
func challenge(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="ngfw"`
	}
	return `Bearer realm="ngfw", error="invalid_token"`
}

// WantsProblem says whether an Accept header asks for RFC 9457 and does not
// name application/json with the same or a greater weight.
func WantsProblem(accept []string) bool {
	problem, plain := 0.0, 0.0
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = given
		}
		switch media {
		case problemType:
			problem = max(problem, q)
		case "application/json":
			plain = max(plain, q)
		}
	}
	return problem > 0 && problem >= plain
}
