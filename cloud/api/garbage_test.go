package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"ngfw.sh/cloud/api/operation"
)

var brokenBodies = map[string]string{
	"empty":              "",
	"blank":              " \n\t ",
	"null":               "null",
	"number":             "42",
	"text":               `"x"`,
	"true":               "true",
	"open object":        "{",
	"open array":         "[",
	"open text":          `{"name":"`,
	"open escape":        `{"name":"\`,
	"open unicode":       `{"name":"\u12`,
	"half surrogate":     `{"name":"\ud800"}`,
	"swapped surrogates": `{"name":"\udc00\ud800"}`,
	"escaped NUL":        `{"name":"\u0000"}`,
	"raw NUL":            "{\"name\":\"\x00\"}",
	"only NULs":          "\x00\x00\x00",
	"not UTF-8":          "{\"name\":\"\xff\xfe\"}",
	"overlong UTF-8":     "{\"name\":\"\xc0\xaf\"}",
	"byte order mark":    "\ufeff{}",
	"trailing text":      `{} {}`,
	"trailing comma":     `{"name":"x",}`,
	"single quotes":      `{'name':'x'}`,
	"comment":            `{/* */}`,
	"NaN":                `{"id":NaN}`,
	"leading zero":       `{"rule_ids":[01]}`,
	"huge number":        `{"rule_ids":[` + strings.Repeat("9", 5000) + `]}`,
	"huge exponent":      `{"rule_ids":[1e999999999]}`,
	"fraction":           `{"rule_ids":[1.5]}`,
	"repeated member":    `{"name":"a","name":"b"}`,
	"unknown member":     `{"` + strings.Repeat("x", 5000) + `":1}`,
	"deep arrays":        strings.Repeat("[", 100_000),
	"deep objects":       strings.Repeat(`{"schedule":`, 20_000),
	"deep unknown":       `{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
	"list of nulls":      `[null,null]`,
	"list of everything": `[1,"x",{},[],null,true]`,
	"wrong everywhere":   `{"name":[],"scopes":{},"rule_ids":"x","schedule":3,"enabled":"yes","tags":[1],"email":null}`,
	"many problems":      "{" + strings.Repeat(`"x":1,`, 50_000) + `"y":1}`,
	"binary":             "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}

var brokenQueries = []string{
	"?%zz", "?=", "?&&&", "?%00=1", "?q=%00", "?%ff=%ff", "?limit=99999999999999999999", "?limit=1e3", "?limit=", "?limit=%F0%9F%92%A9",
	"?a;b=c", "?device_id=%00", "?device_id=%ff", "?" + strings.Repeat("x", 4000), "?port=" + strings.Repeat("1,", 4000), "?filter.action=drop", "?__proto__=1",
}

// Whatever is sent to whatever route: an answer in the envelope's shape, never a
// 500, and the connection goes on.
func TestGarbageAtEveryRoute(t *testing.T) {
	r := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	sent := 0
	// ask sends over the one connection, and fails when it does not go on.
	ask := func(method, target, body string, header ...string) {
		t.Helper()
		sent++
		var out strings.Builder
		fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer owner\r\nContent-Length: %d\r\n", method, target, len(body))
		for _, h := range header {
			out.WriteString(h + "\r\n")
		}
		out.WriteString("\r\n" + body)
		if _, err := io.WriteString(conn, out.String()); err != nil {
			t.Fatalf("%s %.80s %.80q: the connection is closed: %v", method, target, body, err)
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s %.80s %.80q: no answer: %v", method, target, body, err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode >= 500 && resp.StatusCode != 503 || resp.Close {
			t.Errorf("%s %.80s %.80q: %d %s, close %v", method, target, body, resp.StatusCode, text, resp.Close)
		}
		if resp.StatusCode >= 400 && !strings.HasPrefix(string(text), `{"error":{"code":"`) {
			t.Errorf("%s %.80s %.80q: %d without the envelope: %s", method, target, body, resp.StatusCode, text)
		}
		if len(text) > 20_000 {
			t.Errorf("%s %.80s %.80q: an answer of %d bytes", method, target, body, len(text))
		}
	}
	for _, service := range operation.Services() {
		ops, err := operation.Of(service)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range ops {
			for _, b := range o.Bindings {
				if b.Pattern == "/api/system/hardware" { // hangs on purpose
					continue
				}
				plain := strings.NewReplacer("{id}", "1", "{mac}", "02:00:5e:10:00:01").Replace(b.Pattern)
				for _, body := range brokenBodies {
					ask(b.Verb, plain, body, "Content-Type: application/json")
				}
				for _, query := range brokenQueries {
					ask(b.Verb, plain+query, "")
				}
				for _, media := range []string{"text/plain", "application/json; charset=latin1", ";;;", "multipart/form-data; boundary=x"} {
					ask(b.Verb, plain, "{}", "Content-Type: "+media)
				}
				for _, header := range []string{"X-Device-ID: \x80\xff", "X-Device-ID: " + strings.Repeat("x", 9000), "Grpc-Timeout: nonsense",
					"Grpc-Metadata-X-Bin: %%%", "X-HTTP-Method-Override: DELETE", "Accept: ;;;,,,", "Idempotency-Key: " + strings.Repeat("k", 300),
					"Idempotency-Key: \xff", "User-Agent: \xff\xfe", "If-None-Match: \xff", "Te: trailers", "Ngfw-Inward-Bin: e30=", "X-Forwarded-For: nonsense"} {
					ask(b.Verb, plain, "", header)
				}
				if strings.Contains(b.Pattern, "{id}") {
					for _, id := range []string{"%00", "%ff", "-1", "0", "1.5", "99999999999999999999", "%2e%2e%2f", "..", "%F0%9F%92%A9", strings.Repeat("9", 3000), "*"} {
						ask(b.Verb, strings.ReplaceAll(b.Pattern, "{id}", id), "{}", "Content-Type: application/json")
					}
				}
				for _, method := range []string{"PATCH", "TRACE", "PROPFIND", "OPTIONS"} {
					ask(method, plain, "{}")
				}
			}
		}
	}
	for _, target := range []string{"/api", "/api/", "//", "/api/../etc/passwd", "/%2e%2e/%2e%2e", "/api/%00", "/api/firewall/rules/", "/api/firewall/rules/1/2/3", "*"} {
		method := "GET"
		if target == "*" {
			method = "OPTIONS" // net/http answers by itself
		}
		ask(method, target, "")
	}
	if sent < 2000 {
		t.Errorf("only %d requests", sent)
	}
}
