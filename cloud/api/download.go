package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// download carries a streaming call of FileChunk to a client as a file, as fast
// as the client takes it. What fails before the first chunk is an answer like
// any other; after that the connection is broken off, so that a file cut short
// does not look like a whole one.
func (b *bridge) download(w http.ResponseWriter, ex *exchange) {
	b.open.Add(1)
	defer b.open.Done()
	ctx, cancel := context.WithCancel(ex.request.Context())
	defer cancel()
	call, first, header, err := b.begin(ctx, ex)
	ex.learn(header)
	for key, values := range header {
		if name, ok := outgoing(key); ok {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
	}
	if err != nil {
		ex.outcome, _ = envelope.Classify(err)
		envelope.Write(w, ex.request, ex.outcome)
		return
	}
	w.Header().Set("Content-Type", first.GetContentType())
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": first.GetName()}))
	w.WriteHeader(http.StatusOK)
	if ex.request.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	for chunk := first; err == nil; {
		_ = control.SetWriteDeadline(time.Now().Add(b.cfg.StreamStall)) // not every writer has one
		if _, err := w.Write(chunk.GetData()); err != nil {
			return // the client is gone
		}
		if control.Flush() != nil {
			return
		}
		chunk = &ngfwv1.FileChunk{}
		err = call.RecvMsg(chunk)
	}
	if !errors.Is(err, io.EOF) {
		if ctx.Err() == nil {
			b.log.Warn("a download was broken off", "request_id", ex.RequestID, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
}

// begin makes the call and waits for its first chunk.
func (b *bridge) begin(ctx context.Context, ex *exchange) (grpc.ClientStream, *ngfwv1.FileChunk, metadata.MD, error) {
	req, err := newMessage(ex.binding.Method.Input().FullName())
	if err != nil {
		return nil, nil, nil, err
	}
	if len(ex.Fault) == 0 {
		f := ex.checkPath()
		if f == nil {
			f = ex.complete(req)
		}
		if f != nil {
			ex.refuse(f)
		}
	}
	attached, err := ex.attach(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	call, err := b.conn.NewStream(attached, &grpc.StreamDesc{ServerStreams: true}, ex.binding.RPC)
	if err == nil {
		err = call.SendMsg(req)
	}
	if err == nil {
		err = call.CloseSend()
	}
	if err != nil {
		return nil, nil, nil, err
	}
	chunk := &ngfwv1.FileChunk{}
	err = call.RecvMsg(chunk)
	header, _ := call.Header() // its failure is the call's
	if errors.Is(err, io.EOF) {
		err = fault.New(fault.Internal, "internal error").Because(errors.New("a download without a first chunk"))
	}
	return call, chunk, header, err
}
