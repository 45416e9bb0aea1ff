package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/quota"
	"ngfw.sh/cloud/api/replay"
	"ngfw.sh/cloud/etag"
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
	requests Requests
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
	if call.IfMatch != "" && call.op.IfMatch {
		ctx = etag.With(ctx, call.IfMatch)
	}
	if !call.public() {
		ctx = withToken(identity.With(ctx, call.caller), bearer(call.Authorization))
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
		c.metrics.answered("gRPC", rpcName(call), grpcCodeName(answer), c.now().Sub(call.started), call.op != nil && call.op.Stream)
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
