package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
)

// gateway calls the generated REST handlers, which reach the services over the
// in-process connection and so through the chain.
//
// It finds a handler by the operation's binding and not by the generated
// patterns: those know no precedence of /rules/order before /rules/{id}. What is
// wrong with an input never answers by itself; it travels with the call
// (inward.Fault), so that the chain authenticates and counts broken requests,
// too.
type gateway struct {
	conn     *grpc.ClientConn
	handlers map[*operation.Binding]runtime.HandlerFunc
}

// newGateway registers the services' handlers. bindings are those of each
// service, in the order of its declaration, which the generator keeps.
func newGateway(conn *grpc.ClientConn, services []Service, bindings [][]*operation.Binding) (*gateway, error) {
	g := &gateway{conn: conn, handlers: map[*operation.Binding]runtime.HandlerFunc{}}
	for i, s := range services {
		var handlers []runtime.HandlerFunc
		mux := runtime.NewServeMux(
			runtime.WithMiddlewares(func(next runtime.HandlerFunc) runtime.HandlerFunc {
				handlers = append(handlers, next)
				return next
			}),
			runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler{}),
			runtime.WithErrorHandler(g.failed),
			runtime.WithOutgoingHeaderMatcher(outgoing),
			runtime.WithForwardResponseOption(g.answered),
			runtime.WithDisablePathLengthFallback(),
		)
		if err := s.Gateway(context.Background(), mux, conn); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		if len(handlers) != len(bindings[i]) {
			return nil, fmt.Errorf("gateway: %d handlers for %d bindings: generate the gateway again", len(handlers), len(bindings[i]))
		}
		for j, b := range bindings[i] {
			g.handlers[b] = handlers[j]
		}
	}
	return g, nil
}

// serve answers the exchange into w.
func (g *gateway) serve(w http.ResponseWriter, ex *exchange) {
	ctx := withExchange(ex.request.Context(), ex)
	if f := ex.checkPath(); f != nil {
		ex.problem = f
		g.refuse(ctx, w, ex)
		return
	}
	if len(ex.Fault) > 0 {
		g.refuse(ctx, w, ex)
		return
	}
	// The generated code sees a request without header and query: what of
	// them counts is in the exchange.
	inner := &http.Request{Method: ex.binding.Verb, URL: &url.URL{Path: ex.request.URL.Path}, Header: http.Header{}}
	if ex.binding.Body != "" {
		inner.Body = bodyReader{ex}
	}
	g.handlers[ex.binding](w, inner.WithContext(ctx), ex.path)
}

// attach is the client side of the in-process connection: it completes the
// message with the query and tells the chain about the request.
func attach(ctx context.Context, rpc string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ex := exchangeFrom(ctx)
	if ex == nil || ex.binding.RPC != rpc {
		return fmt.Errorf("%s is called outside of its exchange", rpc)
	}
	ex.called = true
	if len(ex.Fault) == 0 {
		if f := ex.complete(req.(proto.Message)); f != nil {
			ex.refuse(f)
		}
	}
	ctx, err := ex.attach(ctx)
	if err != nil {
		return err
	}
	if err := invoke(ctx, rpc, req, reply, conn, opts...); err != nil {
		return err
	}
	if ex.binding.Session {
		ex.keepCookie(reply.(proto.Message))
	}
	return nil
}

func (ex *exchange) complete(m proto.Message) *fault.Error {
	params, f := parseQuery(ex.request.URL.RawQuery)
	if f == nil && ex.binding.TakesDevice() {
		params, f = ex.takeDevice(params)
	}
	if f != nil {
		return f
	}
	if f := fillQuery(m.ProtoReflect(), ex.binding, params); f != nil {
		return f
	}
	if ex.binding.Session {
		return ex.takeCookie(m.ProtoReflect())
	}
	return nil
}

// refuse makes the call with the problem in place of the input. The chain
// answers it: with the problem, or with what it finds before.
func (g *gateway) refuse(ctx context.Context, w http.ResponseWriter, ex *exchange) {
	if len(ex.Fault) == 0 {
		ex.inward.refuse(ex.problem)
	}
	in, err := newMessage(ex.binding.Method.Input().FullName())
	var md metadata.MD
	if err == nil {
		var out proto.Message
		if out, err = newMessage(ex.binding.Method.Output().FullName()); err == nil {
			err = g.conn.Invoke(ctx, ex.binding.RPC, in, out, grpc.Header(&md))
		}
	}
	if err == nil {
		err = errors.New("a refused request was answered")
	}
	g.fail(w, ex, md, err)
}

// failed is the generated code's way out: before the call for a body that does
// not decode, after it for an error of the chain.
func (g *gateway) failed(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	ex := exchangeFrom(ctx)
	if ex.called {
		md, _ := runtime.ServerMetadataFromContext(ctx)
		g.fail(w, ex, md.HeaderMD, err)
		return
	}
	if ex.problem == nil {
		ex.problem = fault.New(fault.BadRequest, "the request cannot be read")
	}
	g.refuse(ctx, w, ex)
}

func (g *gateway) fail(w http.ResponseWriter, ex *exchange, md metadata.MD, err error) {
	for key, values := range md {
		if name, ok := outgoing(key); ok {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
	}
	ex.learn(md)
	ex.outcome, _ = envelope.Classify(err)
	ex.dropCookie(ex.outcome)
	envelope.Write(w, ex.request, ex.outcome)
}

// answered looks at a success before it is written.
func (g *gateway) answered(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	ex := exchangeFrom(ctx)
	if md, ok := runtime.ServerMetadataFromContext(ctx); ok {
		ex.learn(md.HeaderMD)
	}
	if next := nextPage(ex.request.URL, m.ProtoReflect()); next != "" {
		w.Header().Add("Link", "<"+next+`>; rel="next"`)
	}
	return nil
}

func (ex *exchange) learn(md metadata.MD) {
	if v := md.Get(userKey); len(v) > 0 {
		ex.user = v[0]
	}
}

func newMessage(name protoreflect.FullName) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}

// marshaler is the JSON form, with a decoder that leaves what it finds wrong in
// the exchange: the generated code keeps only the text of an error.
type marshaler struct{ wirejson.Marshaler }

func (m marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		body, ok := r.(bodyReader)
		if !ok {
			return fmt.Errorf("decoding a %T", r)
		}
		ex := body.ex
		err := wirejson.Options{Hidden: ex.binding.HiddenFromBody}.DecodeBody(ex.body, v)
		if err != nil {
			ex.problem, _ = envelope.Classify(err)
		}
		return err
	})
}
