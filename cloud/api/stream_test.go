package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/cloud/api"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const patience = 10 * time.Second

func (r *running) dial(query, token string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return websocket.Dial(ctx, strings.Replace(r.url, "http", "ws", 1)+"/api/traffic/logs/stream"+query,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
}

// open dials and returns the socket and the call behind it.
func (r *running) open(query, token string) (*websocket.Conn, *liveStream) {
	r.t.Helper()
	type dialled struct {
		conn *websocket.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		conn, _, err := r.dial(query, token)
		done <- dialled{conn, err}
	}()
	live := r.next()
	d := <-done
	if d.err != nil {
		r.t.Fatal(d.err)
	}
	r.t.Cleanup(func() { d.conn.CloseNow() })
	return d.conn, live
}

// next waits for the next call of the stream.
func (r *running) next() *liveStream {
	r.t.Helper()
	select {
	case live := <-r.traffic.opened:
		return live
	case <-time.After(patience):
		r.t.Fatal("the stream was not opened")
		return nil
	}
}

func readFrame(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind, text, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if kind != websocket.MessageText {
		t.Fatal("a binary frame")
	}
	return string(text)
}

func writeFrame(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func closeCode(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			var closed websocket.CloseError
			if !errors.As(err, &closed) {
				t.Fatalf("not closed, but %v", err)
			}
			return closed.Code
		}
	}
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s did not happen", what)
	}
}

var row = &ngfwv1.LogEntry{Id: "r1", Timestamp: 1703520000.5, Action: "drop", Bytes: 847293847234}

const rowJSON = `{"id":"r1","flow_id":"","device_id":"","event":"","timestamp":1703520000.5,"action":"drop","interface":"","zone_from":"","zone_to":"","protocol":"","source_ip":"","source_port":0,"destination_ip":"","destination_port":0,"policy_revision":0,"bytes":847293847234,"packets":0,"bytes_sent":0,"bytes_received":0,"count":0,"reason":""}`

func TestSocketFrames(t *testing.T) {
	r := start(t, nil)
	contract := r.contract()
	conn, live := r.open("?action=drop,reject&cursor=c0&src=10.0.0.0/8&device_id=dev1", "owner")
	want := &ngfwv1.StreamLogsRequest{Cursor: "c0", Bundled: true, Filter: &ngfwv1.LogsRequest{
		DeviceId: "dev1", Action: []string{"drop", "reject"}, Src: []string{"10.0.0.0/8"}}}
	if diff := cmp.Diff(want, live.req, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		frame *ngfwv1.StreamFrame
		text  string
	}{
		{&ngfwv1.StreamFrame{Type: "log", Cursor: "c1", Data: row}, `{"type":"log","cursor":"c1","data":` + rowJSON + `}`},
		{&ngfwv1.StreamFrame{Type: "dropped", Count: 12}, `{"type":"dropped","count":12}`},
		{&ngfwv1.StreamFrame{Type: "gap", From: "a", To: "b"}, `{"type":"gap","from":"a","to":"b"}`},
	} {
		live.frames <- c.frame
		got := readFrame(t, conn)
		if got != c.text {
			t.Errorf("got %s, want %s", got, c.text)
		}
		contract.AssertSchema(t, "StreamFrame", []byte(got))
	}
	// More than the connection holds back at a time.
	bundle := &ngfwv1.StreamFrame{Type: "bundle", Bundle: []*ngfwv1.StreamFrame{{Type: "heartbeat"}, {Type: "gap", From: "a\"", To: "b"}}}
	for i := range 300 {
		bundle.Bundle = append(bundle.Bundle, &ngfwv1.StreamFrame{Type: "log", Cursor: fmt.Sprint("b", i), Json: []byte(rowJSON)})
	}
	live.frames <- bundle
	if got := readFrame(t, conn); got != `{"type":"gap","from":"a\"","to":"b"}` {
		t.Errorf("got %s", got)
	}
	for i := range 300 {
		if got, want := readFrame(t, conn), fmt.Sprintf(`{"type":"log","cursor":"b%d","data":%s}`, i, rowJSON); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	conn.Close(websocket.StatusNormalClosure, "")
	await(t, "the end of the call", live.gone)
}

func TestSocketHeartbeat(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Heartbeat = 20 * time.Millisecond })
	conn, _ := r.open("", "owner")
	for range 2 {
		if got := readFrame(t, conn); got != `{"type":"heartbeat"}` {
			t.Errorf("%s", got)
		}
	}
}

func TestFilterChangesInTheOpenSocket(t *testing.T) {
	r := start(t, nil)
	contract := r.contract()
	conn, first := r.open("?device_id=dev1", "owner")
	change := `{"type": "filter", "filter": {"action":["drop"],"q":"x"}}`
	writeFrame(t, conn, change)
	second := r.next()
	if got := readFrame(t, conn); got != change {
		t.Errorf("answered by %s", got)
	}
	await(t, "the end of the old call", first.gone)
	want := &ngfwv1.StreamLogsRequest{Bundled: true, Filter: &ngfwv1.LogsRequest{DeviceId: "dev1", Action: []string{"drop"}, Q: "x"}}
	if diff := cmp.Diff(want, second.req, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for frame, field := range map[string]string{
		`{"type":"filter","filter":{"actoin":["drop"]}}`:     "filter.actoin",
		`{"type":"filter","filter":{"action":["drop",1]}}`:   "filter.action[1]",
		`{"type":"filter","filter":{"limit":5}}`:             "filter.limit",
		`{"type":"filter","filter":{"device_id":"foreign"}}`: "filter.device_id",
		`{"type":"filter","filter":{"action":["explode"]}}`:  "filter.action",
		`{"type":"filter"}`: "filter",
		`{"type":"sing"}`:   "type",
		`nonsense`:          "",
		`[1]`:               "",
	} {
		writeFrame(t, conn, frame)
		got := readFrame(t, conn)
		var answer struct {
			Type  string
			Error failure
		}
		if err := json.Unmarshal([]byte(got), &answer); err != nil || answer.Type != "error" || answer.Error.Code != "BAD_REQUEST" || answer.Error.Field != field {
			t.Errorf("%s answered by %s", frame, got)
		}
		contract.AssertSchema(t, "StreamFrame", []byte(got))
	}
	second.frames <- &ngfwv1.StreamFrame{Type: "dropped", Count: 1}
	if got := readFrame(t, conn); got != `{"type":"dropped","count":1}` {
		t.Errorf("the accepted filter is no longer in force: %s", got)
	}
}

func TestSixthStreamIsRefused(t *testing.T) {
	r := start(t, nil)
	conns := make([]*websocket.Conn, 5)
	lives := make([]*liveStream, 5)
	for i := range conns {
		conns[i], lives[i] = r.open("", "owner")
	}
	_, resp, err := r.dial("", "owner")
	if err == nil || resp.StatusCode != 429 {
		t.Fatalf("the sixth: %v, %v", resp, err)
	}
	text, _ := io.ReadAll(resp.Body)
	f := reply{body: string(text)}.failure(t)
	if diff := cmp.Diff(map[string]any{"limit_info": map[string]any{"limit": 5., "current": 5., "reset_at": nil}}, f.Details); f.Code != "RATE_LIMIT" || diff != "" {
		t.Errorf("%s %s", f.Code, diff)
	}
	if resp.Header.Get("Retry-After") == "" || resp.Header.Get("X-Ratelimit-Limit") != "5" {
		t.Errorf("header %v", resp.Header)
	}
	// A full house may still change its filters.
	writeFrame(t, conns[0], `{"type":"filter","filter":{}}`)
	r.next()
	if got := readFrame(t, conns[0]); got != `{"type":"filter","filter":{}}` {
		t.Errorf("%s", got)
	}
	// Another user has slots of its own, and one that is left is free again.
	r.open("", "reader")
	conns[4].Close(websocket.StatusNormalClosure, "")
	await(t, "the end of the call", lives[4].gone)
	for deadline := time.Now().Add(patience); ; {
		conn, _, err := r.dialAnyway("owner")
		if err == nil {
			conn.CloseNow()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the slot does not come back")
		}
	}
}

// A filter changed on and on is a question asked on and on.
func TestFilterChangesAreCounted(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Limits.Other = 2 })
	conn, _ := r.open("", "reader")
	const change = `{"type":"filter","filter":{}}`
	var live *liveStream
	for range 2 {
		writeFrame(t, conn, change)
		live = r.next()
		if got := readFrame(t, conn); got != change {
			t.Fatal(got)
		}
	}
	writeFrame(t, conn, change)
	if got := readFrame(t, conn); !strings.Contains(got, `"code":"RATE_LIMIT"`) {
		t.Error(got)
	}
	live.frames <- &ngfwv1.StreamFrame{Type: "log", Cursor: "c1"} // the last one is in force
	if got := readFrame(t, conn); !strings.Contains(got, `"cursor":"c1"`) {
		t.Error(got)
	}
}

// dialAnyway dials while something takes the call.
func (r *running) dialAnyway(token string) (*websocket.Conn, *http.Response, error) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.traffic.opened:
		case <-stop:
		}
	}()
	return r.dial("", token)
}

func TestRevokedTokenEndsTheStream(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Recheck = 10 * time.Millisecond })
	conn, live := r.open("", "reader")
	r.tokens.revoke("reader")
	if code := closeCode(t, conn); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	await(t, "the end of the call", live.gone)
}

func TestShutdownEndsStreams(t *testing.T) {
	r := start(t, nil)
	conn, live := r.open("", "owner")
	go r.stop()
	if code := closeCode(t, conn); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	await(t, "the end of the call", live.gone)
}

func TestForeignOrigin(t *testing.T) {
	r := start(t, nil)
	header := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	a := r.do("GET", "/api/traffic/logs/stream", "", append(header, "Origin", "https://evil.example.org")...)
	if a.status != 403 || a.failure(t).Code != "FORBIDDEN" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestServerSentEvents(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Recheck = 10 * time.Millisecond })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", r.url+"/api/traffic/logs/stream?cursor=old&action=drop", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer reader"}, "Accept": {"text/event-stream"}, "Last-Event-Id": {"c7"}}
	answers := make(chan *http.Response, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
		}
		answers <- resp
	}()
	live := r.next()
	resp := <-answers
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	if live.req.GetCursor() != "c7" {
		t.Errorf("resumes at %q", live.req.GetCursor())
	}
	live.frames <- &ngfwv1.StreamFrame{Type: "log", Cursor: "c8", Data: row}
	live.frames <- &ngfwv1.StreamFrame{Type: "dropped", Count: 3}
	in := bufio.NewReader(resp.Body)
	want := "event: log\nid: c8\ndata: {\"type\":\"log\",\"cursor\":\"c8\",\"data\":" + rowJSON + "}\n\n" +
		"event: dropped\ndata: {\"type\":\"dropped\",\"count\":3}\n\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v\nwant %q", got, err, want)
	}
	r.tokens.revoke("reader")
	rest, err := io.ReadAll(in)
	if err != nil || !strings.HasPrefix(string(rest), "event: error\ndata: {\"type\":\"error\",\"error\":{\"code\":\"UNAUTHORIZED\"") {
		t.Errorf("ends with %q, %v", rest, err)
	}
}
