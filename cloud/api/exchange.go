package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
)

// exchange is one HTTP request for an operation, and what becomes of it. One
// goroutine at a time touches it.
type exchange struct {
	inward
	binding *operation.Binding
	request *http.Request // as it came
	body    []byte
	path    map[string]string
	called  bool         // the RPC was made
	problem *fault.Error // that decoding the body found
	outcome *fault.Error // the failure that is the answer
	user    string       // whom the chain found

	origins        []string // of other hosts whose pages may use the cookie
	secure         bool     // came by TLS
	cookieLifetime time.Duration
	cookie         bool // the refresh token is in the browser's cookie
	setCookie      *http.Cookie
}

type exchangeKey struct{}

func withExchange(ctx context.Context, ex *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, ex)
}

func exchangeFrom(ctx context.Context) *exchange {
	ex, _ := ctx.Value(exchangeKey{}).(*exchange)
	return ex
}

// checkPath holds the path parameters against the types of their fields, which
// the generated code would otherwise do with a text of its own.
func (ex *exchange) checkPath() *fault.Error {
	for _, fd := range ex.binding.Params() {
		name := string(fd.Name())
		value := ex.path[name]
		switch {
		case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
			return badParameter(name, "the path is not UTF-8 text")
		case fd.Kind() == protoreflect.StringKind:
		default:
			if problem := wirejson.CheckText(fd, value); problem != "" {
				return badParameter(name, "%s", problem)
			}
		}
	}
	return nil
}

func badParameter(name, format string, args ...any) *fault.Error {
	f := fault.New(fault.BadRequest, format, args...)
	f.Fields = []fault.Field{{Path: name, Message: f.Message}}
	return f
}

// bodyReader is the request body on its way through the generated code to the
// decoder, which takes it from the exchange; read otherwise it is empty.
type bodyReader struct{ ex *exchange }

func (bodyReader) Read([]byte) (int, error) { return 0, io.EOF }
func (bodyReader) Close() error             { return nil }
