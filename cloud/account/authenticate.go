package account

import (
	"context"
	"errors"
	"strings"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// Authenticate finds who a bearer credential speaks for: an access token of a
// trusted issuer or an API token. The error is a fault (Unauthorized, or
// PlanLimit for an API token on a plan without API access) unless the store
// failed. Address and Agent of the caller are the transport's to fill in.
func (s *Service) Authenticate(ctx context.Context, bearer string) (identity.Caller, error) {
	kind := "session"
	var c identity.Caller
	var err error
	if strings.HasPrefix(bearer, tokenPrefix) {
		kind = "api_token"
		c, err = s.apiToken(ctx, bearer)
	} else {
		c, err = s.accessToken(ctx, bearer)
	}
	s.metrics.authentication(kind, err)
	if err != nil {
		return identity.Caller{}, err
	}
	return c, nil
}

func (s *Service) accessToken(ctx context.Context, raw string) (identity.Caller, error) {
	if raw == "" {
		return identity.Caller{}, unauthorized("missing token")
	}
	c, is, err := s.verify(ctx, raw)
	if err != nil {
		return identity.Caller{}, err
	}
	return is.resolve(ctx, c)
}

// session resolves the claims of an own access token. What the user may do and
// which plan counts is read anew: the token may be an hour old.
func (s *Service) session(ctx context.Context, c claims) (identity.Caller, error) {
	n, err := s.store.Session(ctx, c.Session)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return identity.Caller{}, unauthorized("session unknown or ended")
	case err != nil:
		return identity.Caller{}, err
	case n.User.ID != c.Subject:
		return identity.Caller{}, unauthorized("token and session belong to different users")
	case n.RevokedAt != 0:
		return identity.Caller{}, unauthorized("session revoked")
	}
	now := s.now().Unix()
	if !n.Live(now) {
		return identity.Caller{}, unauthorized("session expired")
	}
	s.saw(use{session: n.ID, at: now}, n.LastActive)
	return identity.Caller{
		UserID:  n.User.ID,
		OrgID:   n.User.OrgID,
		Plan:    PlanOf(n.User.Plan),
		Session: n.ID,
		Scopes:  Role(n.User.Role).bounded(splitScopes(c.Scope)),
	}, nil
}

func (s *Service) apiToken(ctx context.Context, raw string) (identity.Caller, error) {
	t, err := s.store.APITokenByHash(ctx, digest(raw))
	if errors.Is(err, store.ErrNotFound) {
		return identity.Caller{}, unauthorized("API token revoked or unknown")
	}
	if err != nil {
		return identity.Caller{}, err
	}
	now := s.now().Unix()
	if now >= t.ExpiresAt {
		return identity.Caller{}, unauthorized("API token expired")
	}
	plan := PlanOf(t.User.Plan)
	if !hasAPI(plan) {
		return identity.Caller{}, fault.New(fault.PlanLimit, "API tokens need the plan business or business_plus, this organization has %s", plan)
	}
	s.saw(use{token: t.ID, at: now}, t.LastUsed)
	return identity.Caller{
		UserID:  t.User.ID,
		OrgID:   t.User.OrgID,
		Plan:    plan,
		TokenID: t.ID,
		Scopes:  Role(t.User.Role).bounded(splitScopes(t.Scopes)),
	}, nil
}
