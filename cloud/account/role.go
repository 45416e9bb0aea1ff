package account

import (
	"slices"
	"strings"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

// Role is what a user is in the organisation.
type Role string

const (
	Owner  Role = "owner"
	Admin  Role = "admin"
	Member Role = "member"
	Viewer Role = "viewer"
)

// ladder are the scopes, the least first; each holds the ones before it.
var ladder = []identity.Scope{identity.Read, identity.Write, identity.Admin}

// ParseRole refuses what is none.
func ParseRole(s string) (Role, error) {
	r := Role(s)
	if len(r.Scopes()) == 0 {
		return "", fault.Invalid("role", "must be owner, admin, member or viewer, not %q", s)
	}
	return r, nil
}

// Scopes are the rights of the role; none for an unknown one.
func (r Role) Scopes() []identity.Scope {
	switch r {
	case Owner, Admin:
		return ladder
	case Member:
		return ladder[:2]
	case Viewer:
		return ladder[:1]
	}
	return nil
}

// bounded are the scopes that both the credential and the role give: all up to
// the lower of the two.
func (r Role) bounded(scopes []identity.Scope) []identity.Scope {
	top := 0
	for _, s := range scopes {
		top = max(top, slices.Index(ladder, s)+1)
	}
	return slices.Clone(ladder[:min(top, len(r.Scopes()))])
}

// parseScopes refuses unknown ones and puts the rest in order, each once.
func parseScopes(names []string) ([]identity.Scope, error) {
	for _, n := range names {
		if !slices.Contains(ladder, identity.Scope(n)) {
			return nil, fault.Invalid("scopes", "%q is none of read, write, admin", n)
		}
	}
	var scopes []identity.Scope
	for _, s := range ladder {
		if slices.Contains(names, string(s)) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

// splitScopes and joinScopes are the form of the claim (RFC 8693, section 4.2)
// and of the stored token.
func splitScopes(s string) []identity.Scope {
	var scopes []identity.Scope
	for _, f := range strings.Fields(s) {
		scopes = append(scopes, identity.Scope(f))
	}
	return scopes
}

func joinScopes(scopes []identity.Scope) string { return strings.Join(scopeNames(scopes), " ") }

func scopeNames(scopes []identity.Scope) []string {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return names
}
