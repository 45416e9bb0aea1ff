package api

import (
	"context"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/tap"
)

// strangers refuses a call on the gRPC listener by its header, before its message is
// read: a message takes memory, and nobody has said yet who sends it. What needs no
// token goes on. The chain asks again, as for every call.
func (c *chain) strangers(ctx context.Context, info *tap.Info) (context.Context, error) {
	call := c.open(metadata.NewIncomingContext(ctx, info.Header), info.FullMethodName, false)
	if call.op == nil || call.public() {
		return ctx, nil
	}
	bounded, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	defer cancel()
	if err := c.authenticate(bounded, call); err != nil {
		return ctx, c.conclude(bounded, call, nil, err)
	}
	return ctx, nil
}
