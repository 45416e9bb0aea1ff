// Package etag owns how a write says which state of a resource it is meant for
// (If-Match, RFC 9110 section 13.1.1), and how answers name that state.
//
// A state is a digest of what is stored of a resource. What is counted or reported of it
// besides is no part: a rule's hits do not make a write stale. package api adds a
// digest of the whole answer, which If-None-Match is held against, so an entity tag is
// "state.answer"; of one that comes with If-Match only the state counts.
//
// A write may be meant for the resource, or for the list that it is a member of.
// Whoever stores it compares and writes in one step, so of two writers that have seen the same
// state one is refused.
package etag

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/internal/fault"
)

// Header is the answer header of a service that tells a state.
const Header = "etag"

// Of is the state of a resource, or of a list of them.
func Of(resource any) string {
	var b []byte
	var err error
	if m, ok := resource.(proto.Message); ok {
		b, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	} else {
		b, err = json.Marshal(resource)
	}
	if err != nil {
		return "" // matches nothing; what is stored was encoded before
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Tell names the state of what a call answers.
func Tell(ctx context.Context, resource any) {
	// Outside of a gRPC call there is nobody to tell.
	_ = grpc.SetHeader(ctx, metadata.Pairs(Header, Of(resource)))
}

type key struct{}

// With notes the If-Match of a call; "" is none.
func With(ctx context.Context, header string) context.Context {
	if header == "" {
		return ctx
	}
	return context.WithValue(ctx, key{}, header)
}

// Asked says whether the call is meant for one state alone.
func Asked(ctx context.Context) bool { return ctx.Value(key{}) != nil }

// Check refuses a call that is meant for none of the states: those of the resource
// and of the list that holds it, as they are now.
func Check(ctx context.Context, now ...string) error {
	header, asked := ctx.Value(key{}).(string)
	if !asked {
		return nil
	}
	if len(now) == 0 {
		return errors.New("a write with If-Match does not know the state of its resource")
	}
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" {
			return nil
		}
		// Weak tags never match (section 8.8.3.2).
		state, _, _ := strings.Cut(strings.Trim(tag, `"`), ".")
		if state != "" && slices.Contains(now, state) {
			return nil
		}
	}
	return fault.New(fault.PreconditionFailed, "it has changed since it was read: read it again")
}

// Tag is the entity tag of an answer.
func Tag(state string, answer []byte) string {
	sum := sha256.Sum256(answer)
	body := hex.EncodeToString(sum[:16])
	if state == "" {
		return `"` + body + `"`
	}
	return fmt.Sprintf(`"%s.%s"`, state, body)
}
