package http1

import (
	"bytes"
	"strconv"
)

// record is the event log's "http".
type record struct {
	Hostname    string `json:"hostname,omitempty"`
	Port        int    `json:"http_port,omitempty"`
	URL         string `json:"url,omitempty"`
	UserAgent   string `json:"http_user_agent,omitempty"`
	ContentType string `json:"http_content_type,omitempty"`
	Referer     string `json:"http_refer,omitempty"`
	Method      string `json:"http_method,omitempty"`
	Protocol    string `json:"protocol,omitempty"`
	Status      int    `json:"status,omitempty"`
	StatusText  string `json:"status_string,omitempty"`
	Redirect    string `json:"redirect,omitempty"`
	Length      uint64 `json:"length"`
}

// Record is what the event log says of it.
func (t *Transaction) Record() (string, any) {
	r := record{
		Hostname: string(t.host), URL: string(t.rawURI), Method: string(t.method), Protocol: string(t.request.protocol),
		UserAgent: string(t.request.value("user-agent")), Referer: string(t.request.value("referer")),
		Length: t.response.size,
	}
	if ct, _, _ := bytes.Cut(t.response.value("content-type"), []byte(";")); ct != nil {
		r.ContentType = string(bytes.TrimSpace(ct))
	}
	if _, port := splitPort(t.rawHost); isPort(port) {
		r.Port, _ = strconv.Atoi(string(port))
	}
	if t.response.status > 0 {
		r.Status = t.response.status
	} else if len(t.statusCode) > 0 {
		r.StatusText = string(t.statusCode)
	}
	if r.Status >= 300 && r.Status < 400 {
		r.Redirect = string(t.response.value("location"))
	}
	return "http", r
}
