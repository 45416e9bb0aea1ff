package api

import (
	"net/http"
)

// seen is what the log and the metrics say of a request.
type seen struct {
	http.ResponseWriter
	status  int
	pattern string
	stream  bool
	user    string
	id      string
}

func (s *seen) WriteHeader(status int) {
	if s.status == 0 || s.status < 200 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *seen) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController and the WebSocket library through.
func (s *seen) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// verb bounds what a method can be in a label.
func verb(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}
