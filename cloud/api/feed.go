package api

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

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
