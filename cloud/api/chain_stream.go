package api

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/internal/fault"
)

func (c *chain) stream(inside bool) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		call := c.open(ss.Context(), info.FullMethod, inside)
		ctx, cancel := context.WithCancelCause(ss.Context())
		defer cancel(nil)
		defer func() {
			if cause, ok := fault.As(context.Cause(ctx)); ok {
				err = cause
			}
			err = c.conclude(ctx, call, recover(), err)
			_ = ss.SetHeader(call.answer) // too late when the header is out: then it was in there
		}()
		defer context.AfterFunc(c.closing, func() {
			cancel(fault.New(fault.Unavailable, "the service restarts; connect again"))
		})()
		admitted, release, err := c.admit(ctx, call)
		if err != nil {
			return err
		}
		defer release()
		_ = ss.SetHeader(call.answer)
		defer c.watch(admitted, call, cancel)()
		return handler(srv, &admittedStream{ServerStream: ss, ctx: admitted, inside: inside, prepare: func(m any) error {
			return c.prepare(admitted, call, m)
		}})
	}
}

// admittedStream looks at the first message as the unary chain does at its only
// one.
type admittedStream struct {
	grpc.ServerStream
	ctx     context.Context
	prepare func(any) error // nil after the first message
	inside  bool
	marked  bool
}

func (s *admittedStream) Context() context.Context { return s.ctx }

func (s *admittedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil || s.prepare == nil {
		return err
	}
	first := s.prepare
	s.prepare = nil
	return first(m)
}

// SendHeader says that the service has taken the call on.
func (s *admittedStream) SendHeader(md metadata.MD) error {
	return s.ServerStream.SendHeader(metadata.Join(md, s.accepted()))
}

func (s *admittedStream) SendMsg(m any) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if md := s.accepted(); md != nil {
		_ = s.ServerStream.SetHeader(md) // fails when the header is out
	}
	return s.ServerStream.SendMsg(m)
}

// accepted is the mark for the front, once.
func (s *admittedStream) accepted() metadata.MD {
	if s.marked || !s.inside {
		return nil
	}
	s.marked = true
	return metadata.Pairs(acceptedKey, "1")
}
