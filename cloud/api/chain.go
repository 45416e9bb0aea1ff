package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/quota"
	"ngfw.sh/cloud/api/replay"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

// chain is the one way to every service: recover, request id, authenticate,
// rate limit, authorise, choose the router, validate. Both gRPC servers run it,
// the listener's and the in-process one behind the HTTP front.
type chain struct {
	cfg      Config
	auth     Authenticator
	devices  Devices
	validate func(context.Context, proto.Message) error
	ops      map[string]*operation.Operation // by RPC
	windows  *quota.Windows
	slots    *quota.Slots
	answers  *replay.Store[reply]
	log      *slog.Logger
	metrics  *metrics
	now      func() time.Time
	closing  context.Context // done when the server stops
}

func (c *chain) unary(inside bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		call := c.open(ctx, info.FullMethod, inside)
		bounded, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
		defer cancel()
		defer func() {
			if err = c.conclude(bounded, call, recover(), err); err != nil {
				resp = nil
			}
			_ = grpc.SetHeader(ctx, call.answer) // fails only when the client is gone
		}()
		admitted, release, err := c.admit(bounded, call)
		if err != nil {
			return nil, err
		}
		defer release()
		if err := c.prepare(admitted, call, req); err != nil {
			return nil, err
		}
		return c.once(admitted, call, req, handler)
	}
}

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

// admit lets the call in or says why not. release gives back what it holds.
func (c *chain) admit(ctx context.Context, call *call) (_ context.Context, release func(), err error) {
	if call.op == nil {
		return nil, nil, fault.New(fault.Unavailable, "this operation is not available here")
	}
	ctx = identity.WithOrigin(ctx, identity.Origin{Address: call.Address, Agent: call.Agent})
	if err := c.authenticate(ctx, call); err != nil {
		return nil, nil, err
	}
	release, err = c.meter(call)
	if err != nil {
		return nil, nil, err
	}
	if err := authorise(call); err != nil {
		release()
		return nil, nil, err
	}
	if f := call.refusal(); f != nil {
		release()
		return nil, nil, f
	}
	if !call.public() {
		ctx = identity.With(ctx, call.caller)
	}
	return ctx, release, nil
}

// prepare completes and checks the request message.
func (c *chain) prepare(ctx context.Context, call *call, req any) error {
	m, ok := req.(proto.Message)
	if !ok {
		return fmt.Errorf("request is a %T, not a message", req)
	}
	if err := c.chooseDevice(ctx, call, m.ProtoReflect()); err != nil {
		return err
	}
	if c.validate == nil {
		return nil
	}
	return c.validate(ctx, m)
}

// conclude turns whatever happened into the status that the caller sees, and
// logs the rest.
func (c *chain) conclude(ctx context.Context, call *call, panicked any, err error) error {
	log := c.log.With("request_id", call.RequestID, "rpc", rpcName(call))
	if panicked != nil {
		log.Error("panic in a service", "panic", fmt.Sprint(panicked), "stack", string(debug.Stack()))
		err = fault.New(fault.Internal, "internal error")
	}
	var answer error
	if err != nil {
		f, known := envelope.Classify(err)
		if !known && errors.Is(ctx.Err(), context.DeadlineExceeded) { // a service that hides what stopped it
			f, known = fault.New(fault.Unavailable, "the request took too long; try again").Because(err), true
		}
		if cause := errors.Unwrap(f); cause != nil && (!known || f.Code == fault.Internal || f.Code == fault.Unavailable) && ctx.Err() == nil {
			log.Error("request failed", "code", f.Code, "error", cause)
		}
		if f.Code == fault.Internal {
			f = fault.New(fault.Internal, "internal error; the log has it under request id %s", call.RequestID)
		}
		answer = envelope.FromFault(f).Err()
	}
	if !call.inside {
		c.metrics.answered("gRPC", rpcName(call), grpcCodeName(answer), c.now().Sub(call.started))
		c.log.Info("request", "method", "gRPC", "pattern", rpcName(call), "status", grpcCodeName(answer),
			"duration", c.now().Sub(call.started), "request_id", call.RequestID, "user_id", call.caller.UserID)
	}
	return answer
}

func rpcName(call *call) string {
	if call.op == nil {
		return "other"
	}
	return call.op.RPC
}
