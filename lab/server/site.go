package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
)

// maxBytes bounds /bytes/N.
const maxBytes = 1 << 32

// site answers the same on HTTP and HTTPS:
//
//	/          a line of text
//	/bytes/N   N bytes
//	/upload    (POST) takes a body of any size and says how much it was
//	/whoami    the address and port that the request came from
func site(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "inet here, you asked %s\n", r.Host)
	})
	mux.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
		if err != nil || n < 0 || n > maxBytes {
			http.Error(w, fmt.Sprintf("N is 0 to %d", int64(maxBytes)), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		if _, err := io.CopyN(w, filler{}, n); err != nil {
			log.Debug("download cut short", "client", r.RemoteAddr, "error", err)
		}
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, n)
	})
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		host, port, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintln(w, host, port)
	})
	return mux
}

// filler reads as endless lines of text.
type filler struct{}

const line = "The quick brown fox jumps over the lazy dog; 0123456789 and on.\n"

func (filler) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], line)
	}
	return len(p), nil
}
