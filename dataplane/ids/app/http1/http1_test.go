package http1

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// talk parses a request and a response.
func talk(t *testing.T, limits tx.Limits, request, response string) *Transaction {
	t.Helper()
	p := New(limits)
	p.Feed(tx.ToServer, []byte(request))
	p.Feed(tx.ToClient, []byte(response))
	p.Close(tx.ToServer)
	p.Close(tx.ToClient)
	if len(p.list.All()) == 0 {
		t.Fatalf("no transaction of %q", request)
	}
	return p.list.All()[0]
}

func texts(t *Transaction, kind string, dir tx.Direction) (all []string) {
	for _, b := range t.Buffers(rule.KindOf(kind), dir, nil) {
		all = append(all, string(b.Data))
	}
	return all
}

func TestURI(t *testing.T) {
	for raw, want := range map[string]string{
		"/a/../b/./c":                  "/b/c",
		"/%41%2f%2fb":                  "/A/b",
		"//a///b":                      "/a/b",
		`/a\b`:                         "/a/b",
		"/../../x":                     "/x",
		"/%":                           "/%",
		"/%zz?%41+b":                   "/%zz?A+b",
		"/a#b":                         "/a",
		"/%u0041":                      "/A",
		"/%c0%af":                      "/",
		"http://u@Ex.com:8080/p?q":     "/p?q",
		"/%2541":                       "/%41",
		"/a?b#c":                       "/a?b",
		"/very/%2e%2e/%2e%2e/etc?a=..": "/etc?a=..",
	} {
		got := talk(t, tx.Limits{}, "GET "+raw+" HTTP/1.1\r\nHost: h\r\n\r\n", "")
		if diff := cmp.Diff([]string{want}, texts(got, "http.uri", tx.ToServer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
		if diff := cmp.Diff([]string{raw}, texts(got, "http.uri.raw", tx.ToServer)); diff != "" {
			t.Errorf("raw %s (-want +got):\n%s", raw, diff)
		}
	}
	if got := talk(t, tx.Limits{DoubleDecodePath: true}, "GET /%2541 HTTP/1.1\r\nHost: h\r\n\r\n", ""); !slices.Contains(got.Events(), "double_encoded_uri") ||
		!slices.Equal(texts(got, "http.uri", tx.ToServer), []string{"/A"}) {
		t.Errorf("twice encoded: %q, events %v", texts(got, "http.uri", tx.ToServer), got.Events())
	}
}

func TestBuffers(t *testing.T) {
	got := talk(t, tx.Limits{},
		"GET /i HTTP/1.1\r\nHost:  WWW.Example.com:81 \r\nA: 1\r\nCookie: c=d\r\nA:2\r\nB: x\r\n y\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nSet-Cookie: e\r\nServer: s\r\nContent-Length: 2\r\n\r\nok")
	for kind, want := range map[string][2][]string{
		"http.method":          {{"GET"}, nil},
		"http.host":            {{"www.example.com"}, nil},
		"http.host.raw":        {{"WWW.Example.com:81"}, nil},
		"http.cookie":          {{"c=d"}, {"e"}},
		"http.header":          {{"Host: WWW.Example.com:81\r\nA: 1, 2\r\nB: x y\r\n"}, {"Server: s\r\nContent-Length: 2\r\n"}},
		"http.header_names":    {{"\r\nHost\r\nA\r\nCookie\r\nB\r\n\r\n"}, {"\r\nSet-Cookie\r\nServer\r\nContent-Length\r\n\r\n"}},
		"http.request_line":    {{"GET /i HTTP/1.1"}, nil},
		"http.response_line":   {nil, {"HTTP/1.1 404 Not Found"}},
		"http.stat_code":       {nil, {"404"}},
		"http.stat_msg":        {nil, {"Not Found"}},
		"http.protocol":        {{"HTTP/1.1"}, {"HTTP/1.1"}},
		"http.response_body":   {nil, {"ok"}},
		"file.name":            {nil, {"/i"}},
		"http.response_header": {nil, {"Set-Cookie: e", "Server: s", "Content-Length: 2"}},
		"http.start": {{"GET /i HTTP/1.1\r\nHost: WWW.Example.com:81\r\nA: 1, 2\r\nCookie: c=d\r\nB: x y\r\n\r\n"},
			{"HTTP/1.1 404 Not Found\r\nSet-Cookie: e\r\nServer: s\r\nContent-Length: 2\r\n\r\n"}},
	} {
		for dir := range tx.Direction(2) {
			if diff := cmp.Diff(want[dir], texts(got, kind, dir)); diff != "" {
				t.Errorf("%s, direction %d (-want +got):\n%s", kind, dir, diff)
			}
		}
	}
}

// What a browser makes of odd framing is what must be seen.
func TestBodies(t *testing.T) {
	const want = "the body"
	for name, response := range map[string]string{
		"length":              "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe body",
		"until the end":       "HTTP/1.1 200 OK\r\n\r\nthe body",
		"chunks":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nthe\r\n5;x\r\n body\r\n0\r\n\r\n",
		"chunks in 1.0":       "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nthe body\r\n0\r\n\r\n",
		"said to be chunks":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nthe body",
		"LF alone":            "HTTP/1.1 200 OK\nContent-Length: 8\n\nthe body",
		"CR alone in headers": "HTTP/1.1 200 OK\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n8\r\nthe body\r\n0\r\n\r\n",
		"folded":              "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n8\r\nthe body\r\n0\r\n\r\n",
		"100 first":           "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nthe body",
		"blank lines first":   "\r\n\r\nHTTP/1.1 200 OK\r\n\r\nthe body",
		"204 with a length":   "HTTP/1.1 204 OK\r\nContent-Length: 8\r\n\r\nthe body",
		"no deflate at all":   "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nthe body",
	} {
		got := talk(t, tx.Limits{}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", response)
		if diff := cmp.Diff([]string{want}, texts(got, "file.data", tx.ToClient)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFormFiles(t *testing.T) {
	body := "--b\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\ntext\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.exe\"\r\n\r\nMZ--\r\n-b\r\n--b--\r\n"
	got := talk(t, tx.Limits{HashFiles: true}, "POST /u HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n"+body, "")
	files := got.Files(tx.ToServer)
	if len(files) != 1 || files[0].Name != "a.exe" || string(files[0].Data) != "MZ--\r\n-b" || files[0].State != tx.FileClosed {
		t.Errorf("files %+v", files)
	}
}

func TestEvents(t *testing.T) {
	for name, c := range map[string]struct{ request, response, want string }{
		"no host":          {"GET / HTTP/1.1\r\n\r\n", "", "missing_host_header"},
		"bad host":         {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "", "request_header_host_invalid"},
		"two hosts":        {"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "", "host_header_ambiguous"},
		"no version":       {"GET /\r\n", "", "request_line_missing_protocol"},
		"no colon":         {"GET / HTTP/1.1\r\nHost: a\r\nx\r\n\r\n", "", "request_field_missing_colon"},
		"two lengths":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "", "duplicate_content_length_field_in_request"},
		"odd credentials":  {"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: strange\r\n\r\n", "", "request_auth_unrecognized"},
		"body without":     {"POST / HTTP/1.1\r\nHost: a\r\n\r\nleft over\r\n", "HTTP/1.1 200 OK\r\n\r\n", "request_body_unexpected"},
		"not asked":        {"", "HTTP/1.1 200 OK\r\n\r\n", "unable_to_match_response_to_request"},
		"strange status":   {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 2xx OK\r\n\r\n", "response_invalid_status"},
		"strange chunk":    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "", "invalid_request_chunk_len"},
		"too many layers":  {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip\r\n\r\n", "too_many_encoding_layers"},
		"endless line":     {"GET /" + strings.Repeat("x", 20000), "", "request_field_too_long"},
		"leading space":    {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "request_line_leading_whitespace"},
		"tab for a space":  {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "", "method_delim_non_compliant"},
		"chunk extension":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nz\r\n0\r\n\r\n", "", "request_chunk_extension"},
		"response version": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTPS 200 OK\r\n\r\n", "response_invalid_protocol"},
	} {
		if got := talk(t, tx.Limits{}, c.request, c.response).Events(); !slices.Contains(got, c.want) {
			t.Errorf("%s: events %v, want %s", name, got, c.want)
		}
	}
}

// A line that lacks a few bytes goes on without them, though it is no frame; what lacks more is
// given up.
func TestGapInALine(t *testing.T) {
	for lost, want := range map[int][]string{1: {"/malicious"}, 4000: nil} {
		p := New(tx.Limits{Frames: true})
		p.Feed(tx.ToServer, []byte("GET /malic"))
		p.Gap(tx.ToServer, lost)
		p.Feed(tx.ToServer, []byte("ious HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
		var got []string
		if all := p.list.All(); len(all) > 0 {
			got = texts(all[0], "http.uri", tx.ToServer)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d lost (-want +got):\n%s", lost, diff)
		}
		frames := p.TakeFrames()
		if len(frames) != len(want) || len(frames) == 1 && !strings.HasPrefix(string(frames[0].Data), "GET /next") {
			t.Errorf("%d lost: %d frames, %+v", lost, len(frames), frames)
		}
	}
}
