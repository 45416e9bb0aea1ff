package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// bridge carries the streaming calls of the in-process connection to WebSockets
// and server-sent events. What is refused is refused by the chain, before the
// upgrade; heartbeats are the bridge's own.
type bridge struct {
	cfg           Config
	conn          *grpc.ClientConn
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
	socket, events := isUpgrade(r), accepts(r, "text/event-stream")
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
	return in, nil
}

// filterRequest makes the message of a filter that came in the open socket.
func filterRequest(b *operation.Binding, filter json.RawMessage) (proto.Message, *fault.Error) {
	in, err := newMessage(b.Method.Input().FullName())
	if err != nil {
		return nil, fault.New(fault.Internal, "internal error").Because(err)
	}
	m := in.ProtoReflect().Mutable(b.FilterField()).Message()
	hidden := func(fd protoreflect.FieldDescriptor) bool { return !operation.Live(fd) || fd.Name() == "cursor" }
	if err := (wirejson.Options{Hidden: hidden}).Decode(filter, m.Interface()); err != nil {
		f, _ := envelope.Classify(err)
		for i := range f.Fields {
			f.Fields[i].Path = "filter." + f.Fields[i].Path
		}
		return nil, f
	}
	return in, nil
}

// feed is one streaming call. frames and ended are closed when the call has
// ended, err is then why.
type feed struct {
	frames chan *ngfwv1.StreamFrame
	ended  chan struct{}
	err    error
	cancel context.CancelFunc
}

// acceptedKey is in the header of a call that its service has taken on, by
// SendHeader or a first frame; settle is how long a service may take to say so
// before its silence counts as a yes.
const (
	acceptedKey = "ngfw-accepted"
	settle      = 500 * time.Millisecond
)

// subscribe makes the call and waits until it is refused or accepted.
func (b *bridge) subscribe(ctx context.Context, ex *exchange, req proto.Message) (*feed, metadata.MD, error) {
	ctx, cancel := context.WithCancel(ctx)
	attached, err := ex.attach(ctx)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	call, err := b.conn.NewStream(attached, &grpc.StreamDesc{ServerStreams: true}, ex.binding.RPC)
	if err == nil {
		err = call.SendMsg(req)
	}
	if err == nil {
		err = call.CloseSend()
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	f := &feed{frames: make(chan *ngfwv1.StreamFrame), ended: make(chan struct{}), cancel: cancel}
	header := make(chan metadata.MD, 1)
	go f.run(ctx, call, header)

	wait := time.NewTimer(settle)
	defer wait.Stop()
	select {
	case md := <-header:
		if len(md.Get(acceptedKey)) > 0 {
			return f, md, nil
		}
		select {
		case <-f.ended: // refused
			cancel()
			return nil, md, f.err
		case <-wait.C:
			return f, md, nil
		}
	case <-wait.C:
		return f, nil, nil
	}
}

func (f *feed) run(ctx context.Context, call grpc.ClientStream, header chan<- metadata.MD) {
	defer close(f.frames)
	defer close(f.ended)
	md, err := call.Header()
	header <- md
	for err == nil {
		frame := &ngfwv1.StreamFrame{}
		if err = call.RecvMsg(frame); err != nil {
			break
		}
		select {
		case f.frames <- frame:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	f.err = err
}

func accepts(r *http.Request, media string) bool {
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if name, _, _ := strings.Cut(part, ";"); strings.EqualFold(strings.TrimSpace(name), media) {
			return true
		}
	}
	return false
}
