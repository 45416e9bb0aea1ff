package api

import (
	"context"
	"strings"
	"time"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func (call *call) public() bool {
	return call.op.Permission == ngfwv1.Permission_PERMISSION_PUBLIC
}

// bearer is the token of an Authorization value (RFC 6750), "" for none.
func bearer(authorization string) string {
	scheme, token, ok := strings.Cut(strings.TrimSpace(authorization), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (c *chain) authenticate(ctx context.Context, call *call) error {
	if call.public() {
		return nil
	}
	err := c.identify(ctx, call)
	if err != nil && fault.Is(err, fault.Unauthorized) {
		// Guessing is bounded, too: per address, as there is no token to count.
		if limited := c.count(call, "failed "+network(call.Address)); limited != nil {
			return limited
		}
	}
	return err
}

func (c *chain) identify(ctx context.Context, call *call) error {
	token := bearer(call.Authorization)
	if token == "" {
		return noToken()
	}
	caller, err := c.auth.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	caller.Address, caller.Agent = call.Address, call.Agent
	call.caller = caller
	if call.inside && caller.UserID != "" {
		call.answer.Set(userKey, metadataText(caller.UserID))
	}
	return nil
}

func noToken() *fault.Error {
	return fault.New(fault.Unauthorized, "a token is needed: send it as Authorization: Bearer <token>")
}

// watch looks at the token of a live stream again and again and cuts the stream
// when the token is no longer good. stop ends the watching.
func (c *chain) watch(ctx context.Context, call *call, cut context.CancelCauseFunc) (stop func()) {
	if call.public() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(c.cfg.Recheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := c.recheck(ctx, call); isFinal(err) && ctx.Err() == nil {
				cut(err)
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// recheck asks as if the stream were opened now.
func (c *chain) recheck(ctx context.Context, call *call) error {
	caller, err := c.auth.Authenticate(ctx, bearer(call.Authorization))
	if err != nil {
		return err
	}
	again := *call
	again.caller = caller
	return authorise(&again)
}

// isFinal says whether a failed look means that the token is bad; a database
// that is away for a moment does not.
func isFinal(err error) bool {
	return fault.Is(err, fault.Unauthorized) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.PlanLimit)
}
