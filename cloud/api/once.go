package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api/replay"
	"ngfw.sh/internal/fault"
)

const (
	replayFor  = 24 * time.Hour
	replayMost = 4096 // answers, a few kilobytes each
	keyLength  = 255
)

// reply is an answer with the header that its service set.
type reply struct {
	message proto.Message
	header  metadata.MD
}

// once runs the handler, or gives the first answer to the same Idempotency-Key.
// Only what creates (POST) takes keys.
func (c *chain) once(ctx context.Context, call *call, req any, handler grpc.UnaryHandler) (any, error) {
	if call.Idempotency == "" || call.public() || len(call.op.Bindings) == 0 || call.op.Bindings[0].Verb != http.MethodPost {
		return handler(ctx, req)
	}
	if len(call.Idempotency) > keyLength {
		return nil, fault.New(fault.BadRequest, "Idempotency-Key is longer than %d characters", keyLength)
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(req.(proto.Message))
	if err != nil {
		return nil, err
	}
	key := call.caller.OrgID + "\x00" + call.caller.UserID + "\x00" + call.caller.TokenID + "\x00" + call.op.RPC + "\x00" + call.Idempotency
	r, again, err := c.answers.Do(ctx, key, sha256.Sum256(body), c.now(), func() (reply, error) {
		seen := &headerRecorder{ServerTransportStream: grpc.ServerTransportStreamFromContext(ctx)}
		out, err := handler(grpc.NewContextWithServerTransportStream(ctx, seen), req)
		if err != nil {
			return reply{}, err
		}
		return reply{out.(proto.Message), seen.header}, nil
	})
	if errors.Is(err, replay.ErrOther) {
		return nil, fault.New(fault.Conflict, "this Idempotency-Key was used for another request: take a new one")
	}
	if err != nil {
		return nil, err
	}
	if again {
		call.answer = metadata.Join(call.answer, r.header)
		call.answer.Set("idempotent-replayed", "true")
	}
	return proto.Clone(r.message), nil
}

// headerRecorder remembers the header that a handler sets on its way out.
type headerRecorder struct {
	grpc.ServerTransportStream
	header metadata.MD
}

func (h *headerRecorder) SetHeader(md metadata.MD) error {
	h.header = metadata.Join(h.header, md)
	return h.ServerTransportStream.SetHeader(md)
}

func (h *headerRecorder) SendHeader(md metadata.MD) error {
	h.header = metadata.Join(h.header, md)
	return h.ServerTransportStream.SendHeader(md)
}
