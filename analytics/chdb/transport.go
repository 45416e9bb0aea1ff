package chdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// maxStatement bounds a statement's text; rows have no bound.
const maxStatement = 4 << 20

// RoundTrip runs one request of clickhouse-go. A failure of the engine is an
// answer as the server gives it; an error is returned only where there is no
// answer: the context ended or the engine is closed.
func (e *Engine) RoundTrip(req *http.Request) (*http.Response, error) {
	body := req.Body
	if body == nil {
		body = http.NoBody
	}
	defer body.Close()
	q := req.URL.Query()
	var text []byte
	if !q.Has("query") {
		var err error
		if text, err = io.ReadAll(io.LimitReader(body, maxStatement+1)); err != nil {
			return nil, fmt.Errorf("read the statement: %w", err)
		}
		if len(text) > maxStatement {
			return refuse(req, http.StatusRequestEntityTooLarge, "the statement is longer than 4 MiB"), nil
		}
	}
	s, err := parseStatement(q, string(text))
	if err != nil {
		return refuse(req, http.StatusBadRequest, err.Error()), nil
	}
	if s.text == hello {
		return e.hello(req, s)
	}
	out, length, err := e.run(req.Context(), s, body)
	if ex := (*Exception)(nil); errors.As(err, &ex) {
		if req.Context().Err() != nil { // killed: the code would be QUERY_WAS_CANCELLED
			return nil, req.Context().Err()
		}
		res := refuse(req, http.StatusInternalServerError, ex.Text)
		res.Header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(ex.Code))
		return res, nil
	}
	if err != nil {
		return nil, err
	}
	return answer(req, http.StatusOK, out, length), nil
}

// run executes a statement; length is -1 where the output is a stream.
func (e *Engine) run(ctx context.Context, s statement, rows io.Reader) (out io.ReadCloser, length int64, err error) {
	ses, err := e.acquire(ctx)
	if err != nil {
		return nil, 0, err
	}
	streams := false
	defer func() {
		if !streams {
			e.release(ses)
		}
	}()
	if err := ses.prepare(s.database, s.settings); err != nil {
		return nil, 0, err
	}
	if s.insert {
		return http.NoBody, 0, ses.insert(s, rows)
	}
	mark := e.mark()
	s.text = mark + s.text
	stop := e.killWith(ctx, mark)
	if streamable.MatchString(strings.TrimPrefix(s.text, mark)) {
		st, err := newStream(e, ses, s, stop)
		if err != nil {
			stop()
			return nil, 0, err
		}
		streams = true
		return st, -1, nil
	}
	defer stop()
	data, err := ses.query(s.text, s.format, s.params)
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), err
}

// killWith ends the marked statement when ctx does. The returned function must
// be called when the statement is back; it waits until no kill is under way.
func (e *Engine) killWith(ctx context.Context, mark string) (stop func()) {
	back, ended := make(chan struct{}), make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(ended)
		for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
			select {
			case <-back:
				return
			default:
			}
			e.kill(mark)
			select {
			case <-back:
				return
			case <-time.After(wait):
			}
		}
	})
	return func() {
		close(back)
		if !unhook() {
			<-ended
		}
	}
}

// hello answers the driver's first statement. It decodes this one answer at
// its own revision and all later ones at the revision told here, and the
// engine writes blocks as revision 0 has them.
func (e *Engine) hello(req *http.Request, s statement) (*http.Response, error) {
	ses, err := e.acquire(req.Context())
	if err != nil {
		return nil, err
	}
	version, err := ses.query("SELECT version()", "TSVRaw", nil)
	e.release(ses)
	if err != nil {
		return refuse(req, http.StatusInternalServerError, err.Error()), nil
	}
	var block proto.Block
	for _, c := range []struct {
		name, kind string
		value      any
	}{
		{"displayName()", "String", "embedded"},
		{"version()", "String", strings.TrimSpace(string(version))},
		{"revision()", "UInt32", uint32(0)},
		{"timezone()", "String", "UTC"}, // every time column of ours names its zone
	} {
		if err := block.AddColumn(c.name, column.Type(c.kind)); err != nil {
			return nil, fmt.Errorf("answer the driver's hello: %w", err)
		}
		if err := block.Columns[len(block.Columns)-1].AppendRow(c.value); err != nil {
			return nil, fmt.Errorf("answer the driver's hello: %w", err)
		}
	}
	var buf chproto.Buffer
	if err := block.Encode(&buf, s.revision); err != nil {
		return nil, fmt.Errorf("answer the driver's hello: %w", err)
	}
	return answer(req, http.StatusOK, io.NopCloser(bytes.NewReader(buf.Buf)), int64(len(buf.Buf))), nil
}

func answer(req *http.Request, status int, body io.ReadCloser, length int64) *http.Response {
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: body, ContentLength: length, Request: req,
	}
}

func refuse(req *http.Request, status int, text string) *http.Response {
	return answer(req, status, io.NopCloser(strings.NewReader(text)), int64(len(text)))
}
