package api

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/internal/fault"
)

//go:embed index.html
var index string

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// indexPage serves the start page. Its one style is allowed by its hash, scripts
// are not.
func indexPage() http.Handler {
	sum := sha256.Sum256([]byte(styleElement.FindStringSubmatch(index)[1]))
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", csp)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(index))
	})
}

func document(media string, text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		_, _ = w.Write(text)
	})
}

// health answers what Deps.Health finds: 503 when a part fails.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	status, code, parts := "ok", http.StatusOK, map[string]string{}
	if s.closing.Err() != nil {
		status, code = "stopping", http.StatusServiceUnavailable
	}
	if s.deps.Health != nil {
		for name, err := range s.deps.Health(r.Context()) {
			parts[name] = "ok"
			if err == nil {
				continue
			}
			status, code, parts[name] = "failing", http.StatusServiceUnavailable, "failing"
			if f, ok := fault.As(err); ok {
				parts[name] = f.Message
			}
			s.deps.Logger.Warn("a part is not healthy", "part", name, "error", err)
		}
	}
	text, err := json.Marshal(map[string]any{"status": status, "parts": parts})
	if err != nil {
		envelope.Write(w, r, fault.New(fault.Internal, "internal error"))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n'))
}

// metricsPage is Prometheus' page, behind a token if one is configured.
func metricsPage(g prometheus.Gatherer, token string) http.Handler {
	page := promhttp.HandlerFor(g, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := bearer(r.Header.Get("Authorization"))
		if token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			envelope.Write(w, r, fault.New(fault.Unauthorized, "the metrics need their token: send it as Authorization: Bearer <token>"))
			return
		}
		page.ServeHTTP(w, r)
	})
}

// plainPath says whether a public handler can stand at the path.
func plainPath(p string) bool {
	return strings.HasPrefix(p, "/") && p != "/" && !strings.HasPrefix(p, "/api/")
}
