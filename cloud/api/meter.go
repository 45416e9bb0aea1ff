package api

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"ngfw.sh/cloud/api/operation"
	"ngfw.sh/cloud/api/quota"
	"ngfw.sh/internal/fault"
)

// meter counts the call: a stream takes a slot of its user, anything else one
// of its token's requests for this endpoint, and a download both. So does a stream
// that changes its filter: it keeps its slot.
func (c *chain) meter(call *call) (release func(), err error) {
	nothing := func() {}
	if len(call.op.Bindings) == 0 { // agents: no endpoint of the table
		return nothing, nil
	}
	if call.op.Stream && !c.slots.Holding(call.caller.UserID, call.Socket) {
		return c.holdStream(call)
	}
	if err := c.count(call, payer(call)); err != nil {
		return nothing, err
	}
	switch {
	case call.op.Stream:
		return c.holdStream(call)
	case call.op.Download:
		return c.holdDownload(call)
	}
	return nothing, nil
}

// payer is whose requests the call is one of.
func payer(call *call) string {
	switch {
	case call.public():
		return "address " + network(call.Address)
	case call.caller.TokenID != "":
		return "token " + call.caller.TokenID
	case call.caller.Session != "":
		return "session " + call.caller.Session
	}
	return "user " + call.caller.UserID
}

// network is what is counted of an address: of IPv6 the 64 bits that a site
// has, as each of its hosts may take any of the others.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, _ := a.WithZone("").Prefix(64) // never fails for IPv6
	return p.String()
}

// policy is the line of the table that an operation falls under.
func (c *chain) policy(op *operation.Operation) (name string, limit int) {
	switch pattern := op.Bindings[0].Pattern; {
	case strings.HasPrefix(pattern, "/api/auth/"):
		return "auth", c.cfg.Limits.Auth
	case pattern == "/api/traffic/logs":
		return "logs", c.cfg.Limits.Logs
	}
	return "default", c.cfg.Limits.Other
}

func (c *chain) count(call *call, who string) error {
	if len(call.op.Bindings) == 0 {
		return nil
	}
	name, limit := c.policy(call.op)
	now := c.now()
	g := c.windows.Take(call.op.RPC+" "+who, limit, now)
	seconds := int(math.Ceil(g.Reset.Sub(now).Seconds()))
	c.showGrant(call, name, g, seconds)
	if g.OK {
		return nil
	}
	call.answer.Set("retry-after", strconv.Itoa(max(seconds, 1)))
	c.metrics.limited(call.op.Bindings[0].Pattern)
	f := fault.New(fault.RateLimit, "more than %d requests in %.0f s to this endpoint; try again in %d s", limit, c.cfg.Limits.Window.Seconds(), max(seconds, 1))
	f.Details = limitInfo(limit, limit-g.Remaining, g.Reset.Unix())
	return f
}

// showGrant writes the seed's headers and those of
// draft-ietf-httpapi-ratelimit-headers-10.
func (c *chain) showGrant(call *call, policy string, g quota.Grant, seconds int) {
	call.answer.Set("x-ratelimit-limit", strconv.Itoa(g.Limit))
	call.answer.Set("x-ratelimit-remaining", strconv.Itoa(g.Remaining))
	call.answer.Set("x-ratelimit-reset", strconv.FormatInt(g.Reset.Unix(), 10))
	call.answer.Set("ratelimit-policy", fmt.Sprintf("%q;q=%d;w=%d", policy, g.Limit, int(c.cfg.Limits.Window.Seconds())))
	call.answer.Set("ratelimit", fmt.Sprintf("%q;r=%d;t=%d", policy, g.Remaining, seconds))
}

func (c *chain) holdStream(call *call) (release func(), err error) {
	limit := c.cfg.Limits.Streams
	release, used, ok := c.slots.Hold(call.caller.UserID, call.Socket, limit)
	call.answer.Set("x-ratelimit-limit", strconv.Itoa(limit))
	call.answer.Set("x-ratelimit-remaining", strconv.Itoa(limit-used))
	if ok {
		return release, nil
	}
	// Nobody knows when a stream ends; a client that asks again this late
	// finds out soon enough.
	call.answer.Set("retry-after", strconv.Itoa(int(c.cfg.Limits.Window.Seconds())))
	c.metrics.limited(call.op.Bindings[0].Pattern)
	f := fault.New(fault.RateLimit, "%d streams of this user are open, which is the limit: close one first", used)
	f.Details = limitInfo(limit, used, nil)
	return nil, f
}

// holdDownload takes one of the user's downloads: each holds a question to the
// database for as long as the client likes to read.
func (c *chain) holdDownload(call *call) (release func(), err error) {
	limit := c.cfg.Limits.Downloads
	release, used, ok := c.slots.Hold("downloads of "+call.caller.UserID, call.Socket, limit)
	if ok {
		return release, nil
	}
	call.answer.Set("retry-after", strconv.Itoa(int(c.cfg.Limits.Window.Seconds())))
	c.metrics.limited(call.op.Bindings[0].Pattern)
	f := fault.New(fault.RateLimit, "%d downloads of this user are running, which is the limit: wait for one to end", used)
	f.Details = limitInfo(limit, used, nil)
	return func() {}, f
}

func limitInfo(limit, current, resetAt any) map[string]any {
	return map[string]any{"limit_info": map[string]any{"limit": limit, "current": current, "reset_at": resetAt}}
}
