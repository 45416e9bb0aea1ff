// Package identity owns who is calling: the caller that authentication found,
// as it travels in a context from the interceptor chain to the services. The
// tenant comes from here alone, never from a request.
package identity

import (
	"context"
	"slices"
)

// Scope is what a token may do; each holds the ones before it.
type Scope string

const (
	Read  Scope = "read"
	Write Scope = "write"
	Admin Scope = "admin"
)

// Caller is an authenticated user of one organisation.
type Caller struct {
	UserID  string
	OrgID   string
	Plan    string // starter, pro, business, business_plus
	TokenID string // the API token's id; "" for a session
	Session string // the session's id; "" for an API token
	Scopes  []Scope
	Address string // remote address, for the audit log
	Agent   string // User-Agent, for the audit log
}

// Allows says whether the caller holds the scope or a greater one.
func (c Caller) Allows(s Scope) bool {
	order := []Scope{Read, Write, Admin}
	want := slices.Index(order, s)
	for _, have := range c.Scopes {
		if i := slices.Index(order, have); i >= want && want >= 0 {
			return true
		}
	}
	return false
}

type key struct{}

// With puts the caller into the context.
func With(ctx context.Context, c Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From finds the caller; false for a public operation.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(key{}).(Caller)
	return c, ok
}

type requestKey struct{}

// WithRequest names the request of a context, for whoever must not do it twice.
func WithRequest(ctx context.Context, key [32]byte) context.Context {
	return context.WithValue(ctx, requestKey{}, key)
}

// RequestFrom finds the name; false for a request that may be repeated.
func RequestFrom(ctx context.Context) ([32]byte, bool) {
	k, ok := ctx.Value(requestKey{}).([32]byte)
	return k, ok
}

type originKey struct{}

// Origin is where a request came from. Unlike a Caller it is there for public
// operations too.
type Origin struct {
	Address string // remote address without port
	Agent   string // User-Agent
}

// WithOrigin puts the origin into the context.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom finds the origin; zero outside of a request.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
