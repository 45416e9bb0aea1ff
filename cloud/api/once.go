package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/replay"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

const (
	replayFor  = 24 * time.Hour
	replayMost = 1024 // answers at hand, a few kilobytes each
	keyLength  = 255
	keepWithin = 10 * time.Second
)

// Requests keep the first answers to requests with an Idempotency-Key over a restart.
type Requests interface {
	// Claim looks a request up and takes it on unless it was answered.
	Claim(ctx context.Context, r Request, now time.Time) (Claim, error)
	// Answer keeps the answer to a claimed request, Drop forgets one that failed.
	Answer(ctx context.Context, key [32]byte, answer []byte) error
	Drop(ctx context.Context, key [32]byte) error
}

// Request is one that is not to be done twice.
type Request struct {
	Key, Body [32]byte // digests
	OrgID     string
	Ends      time.Time // it may be forgotten then
}

// Claim is what became of a request before.
type Claim struct {
	Mine   bool   // nothing: whoever has claimed it does it
	Other  bool   // the key is another request's
	Answer []byte // the first answer; nil without Mine and Other: it was done, and its answer is lost
}

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
	name := call.caller.OrgID + "\x00" + call.caller.UserID + "\x00" + call.caller.TokenID + "\x00" + call.op.RPC + "\x00" + call.Idempotency
	r := Request{Key: sha256.Sum256([]byte(name)), Body: sha256.Sum256(body), OrgID: call.caller.OrgID, Ends: c.now().Add(replayFor)}
	kept := false
	a, again, err := c.answers.Do(ctx, name, r.Body, c.now(), func() (reply, error) {
		return c.durably(ctx, call, r, &kept, func(ctx context.Context) (reply, error) {
			seen := &headerRecorder{ServerTransportStream: grpc.ServerTransportStreamFromContext(ctx)}
			out, err := handler(grpc.NewContextWithServerTransportStream(ctx, seen), req)
			if err != nil {
				return reply{}, err
			}
			return reply{out.(proto.Message), seen.header}, nil
		})
	})
	if errors.Is(err, replay.ErrOther) {
		return nil, fault.New(fault.Conflict, "this Idempotency-Key was used for another request: take a new one")
	}
	if err != nil {
		return nil, err
	}
	if again || kept {
		call.answer = metadata.Join(call.answer, a.header)
		call.answer.Set("idempotent-replayed", "true")
	}
	return proto.Clone(a.message), nil
}

// durably does a request, or gives the answer that was kept of it: kept says which. The answer
// is kept before anybody sees it.
func (c *chain) durably(ctx context.Context, call *call, r Request, kept *bool, do func(context.Context) (reply, error)) (reply, error) {
	if c.requests == nil {
		return do(ctx)
	}
	claim, err := c.requests.Claim(ctx, r, c.now())
	switch {
	case err != nil:
		return reply{}, err
	case claim.Other:
		return reply{}, replay.ErrOther
	case claim.Answer != nil:
		*kept = true
		return decodeReply(call.op, claim.Answer)
	case !claim.Mine:
		return reply{}, fault.New(fault.Conflict, "the first request with this Idempotency-Key was done, but its answer was lost when the service ended: look what is there")
	}
	answered := false
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	defer func() { // also after a panic
		if answered {
			return
		}
		if err := c.requests.Drop(after, r.Key); err != nil {
			c.log.Error("a failed request is not forgotten", "request_id", call.RequestID, "error", err)
		}
	}()
	out, err := do(identity.WithRequest(ctx, r.Key))
	if err != nil {
		return reply{}, err
	}
	answered = true
	text, err := encodeReply(out)
	if err == nil {
		err = c.requests.Answer(after, r.Key, text)
	}
	if err != nil { // done it is; a repeat is answered while the process lives
		c.log.Error("the answer to a request is not kept", "request_id", call.RequestID, "error", err)
	}
	return out, nil
}

// keptReply is a reply as it is kept.
type keptReply struct {
	Header  metadata.MD `json:"header,omitempty"`
	Message []byte      `json:"message"`
}

func encodeReply(r reply) ([]byte, error) {
	m, err := proto.Marshal(r.message)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keptReply{r.header, m})
}

func decodeReply(op *operation.Operation, text []byte) (reply, error) {
	var k keptReply
	if err := json.Unmarshal(text, &k); err != nil {
		return reply{}, fmt.Errorf("kept answer of %s: %w", op.RPC, err)
	}
	m, err := newMessage(op.Method.Output().FullName())
	if err == nil {
		err = proto.Unmarshal(k.Message, m)
	}
	if err != nil {
		return reply{}, fmt.Errorf("kept answer of %s: %w", op.RPC, err)
	}
	return reply{m, k.Header}, nil
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
