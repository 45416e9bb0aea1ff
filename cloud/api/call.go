package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api/envelope"
	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

// call is one RPC on its way through the chain.
type call struct {
	inward
	op      *operation.Operation
	inside  bool // from the HTTP front, over the in-process connection
	started time.Time
	caller  identity.Caller
	answer  metadata.MD // header of the answer
}

// inward is what the HTTP front tells the chain of a request. On the gRPC
// listener the same comes from the metadata of the client.
type inward struct {
	RequestID     string
	Authorization string
	Device        string
	Address       string // remote, without port
	Agent         string
	Idempotency   string
	IfMatch       string
	Socket        string // that a stream belongs to
	Fault         []byte // a google.rpc.Status: the input is wrong
}

const (
	inwardKey = "ngfw-inward-bin"
	userKey   = "ngfw-user" // of the answer: who it was, for the front's log
)

func (i *inward) attach(ctx context.Context) (context.Context, error) {
	text, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	return metadata.AppendToOutgoingContext(ctx, inwardKey, string(text)), nil
}

func (i *inward) refuse(f *fault.Error) {
	// A status of standard details always marshals; without it the call would
	// go through, so a failure must not pass silently.
	b, err := proto.Marshal(envelope.FromFault(f).Proto())
	if err != nil {
		b, _ = proto.Marshal(&status.Status{Code: 13, Message: "internal error"})
	}
	i.Fault = b
}

// refusal is the fault that the front found in the input, nil for none.
func (i *inward) refusal() *fault.Error {
	if len(i.Fault) == 0 {
		return nil
	}
	var s status.Status
	if err := proto.Unmarshal(i.Fault, &s); err != nil {
		return fault.New(fault.Internal, "internal error").Because(err)
	}
	f, _ := envelope.Classify(grpcstatus.FromProto(&s).Err())
	return f
}

func (c *chain) open(ctx context.Context, rpc string, inside bool) *call {
	out := &call{op: c.ops[rpc], inside: inside, started: c.now(), answer: metadata.MD{}}
	md, _ := metadata.FromIncomingContext(ctx)
	first := func(key string) string {
		if v := md.Get(key); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	if inside {
		if err := json.Unmarshal([]byte(first(inwardKey)), &out.inward); err != nil {
			out.refuse(fault.New(fault.Internal, "internal error").Because(err))
		}
	} else {
		out.inward = inward{
			RequestID:     first("x-request-id"),
			Authorization: first("authorization"),
			Device:        first("x-device-id"),
			Agent:         first("user-agent"),
			Idempotency:   first("idempotency-key"),
			IfMatch:       strings.Join(md.Get("if-match"), ","),
			Socket:        newID(),
		}
		if p, ok := peer.FromContext(ctx); ok {
			out.Address = hostOf(p.Addr.String())
		}
	}
	if !saneID(out.RequestID) {
		out.RequestID = newID()
	}
	out.answer.Set("x-request-id", out.RequestID)
	return out
}

func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// newID makes a request id, or a name for a socket.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// saneID says whether a client's request id can go into logs and headers.
func saneID(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:"
	return s != "" && len(s) <= 128 && strings.Trim(s, letters) == ""
}
