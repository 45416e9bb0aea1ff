package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/ticket"
	"ngfw.sh/internal/fault"
)

// bridge carries the streaming calls of the in-process connection to WebSockets
// and server-sent events. What is refused is refused by the chain, before the
// upgrade; heartbeats are the bridge's own.
type bridge struct {
	cfg           Config
	conn          *grpc.ClientConn
	tickets       *ticket.Store
	originAllowed func(string) bool
	log           *slog.Logger
	metrics       *metrics
	closing       context.Context // done when the server stops
	open          sync.WaitGroup
}

func (b *bridge) serve(w http.ResponseWriter, ex *exchange) {
	b.open.Add(1)
	defer b.open.Done()
	r := ex.request
	socket, events := isUpgrade(r), r.Method == http.MethodGet && accepts(r, "text/event-stream")
	req, f := b.request(ex)
	switch {
	case f != nil:
		ex.refuse(f)
	case socket:
		if origin := r.Header.Get("Origin"); origin != "" && !sameHost(r, origin) && !b.originAllowed(origin) {
			ex.refuse(fault.New(fault.Forbidden, "pages of this origin may not open streams"))
		}
	case !events:
		w.Header().Set("Upgrade", "websocket")
		w.Header().Add("Connection", "Upgrade")
		ex.refuse(fault.New(envelope.UpgradeRequired,
			"this is a live stream: open it as a WebSocket, or send Accept: text/event-stream for server-sent events"))
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	feed, header, err := b.subscribe(ctx, ex, req)
	ex.learn(header)
	for key, values := range header {
		if name, ok := outgoing(key); ok {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
	}
	if err != nil {
		ex.outcome, _ = envelope.Classify(err)
		if ex.outcome.Code != envelope.UpgradeRequired {
			w.Header().Del("Upgrade")
			w.Header().Del("Connection")
		}
		envelope.Write(w, r, ex.outcome)
		return
	}
	if socket {
		b.serveSocket(ctx, w, ex, feed)
		return
	}
	b.serveEvents(ctx, w, feed)
}

// wait until every stream has ended, or ctx.
func (b *bridge) wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { b.open.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// request makes the call's message of the query: the filter's fields, a cursor
// to resume from. A reconnecting browser says the cursor in Last-Event-ID.
func (b *bridge) request(ex *exchange) (proto.Message, *fault.Error) {
	in, err := newMessage(ex.binding.Method.Input().FullName())
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error").Because(err)
	}
	params, f := parseQuery(ex.request.URL.RawQuery)
	if f == nil {
		params, f = ex.takeTicket(params, b.tickets)
	}
	if f == nil {
		params, f = ex.takeDevice(params)
	}
	if f != nil {
		return in, f
	}
	m := in.ProtoReflect()
	filter := m.Mutable(ex.binding.FilterField()).Message()
	if f := fillQuery(filter, ex.binding, params); f != nil {
		return in, f
	}
	cursor := ""
	if fd := filter.Descriptor().Fields().ByName("cursor"); fd != nil {
		cursor = filter.Get(fd).String()
		filter.Clear(fd)
	}
	if last := ex.request.Header.Get("Last-Event-ID"); last != "" {
		cursor = last
	}
	if fd := m.Descriptor().Fields().ByName("cursor"); fd != nil && cursor != "" {
		m.Set(fd, protoreflect.ValueOfString(strings.ToValidUTF8(cursor, "")))
	}
	bundled(m)
	return in, nil
}

// bundled asks for frames in bundles, where the call has them: one message for
// all that wait.
func bundled(m protoreflect.Message) {
	if fd := m.Descriptor().Fields().ByName("bundled"); fd != nil {
		m.Set(fd, protoreflect.ValueOfBool(true))
	}
}

func accepts(r *http.Request, media string) bool {
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if name, _, _ := strings.Cut(part, ";"); strings.EqualFold(strings.TrimSpace(name), media) {
			return true
		}
	}
	return false
}
