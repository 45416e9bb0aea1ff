package account

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ListTokens lists the caller's API tokens, without the tokens themselves.
func (s *Service) ListTokens(ctx context.Context, _ *ngfwv1.ListTokensRequest) (*ngfwv1.ListTokensResponse, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.APITokens(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	res := &ngfwv1.ListTokensResponse{}
	for _, t := range rows {
		res.Tokens = append(res.Tokens, tokenMessage(t, ""))
	}
	return res, nil
}

// CreateToken makes an API token of the caller with at most the caller's
// scopes. Without any it may read.
func (s *Service) CreateToken(ctx context.Context, req *ngfwv1.CreateTokenRequest) (*ngfwv1.ApiToken, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if !hasAPI(c.Plan) {
		return nil, fault.New(fault.PlanLimit, "API tokens need the plan business or business_plus, this organization has %s", c.Plan)
	}
	scopes, err := parseScopes(req.GetScopes())
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		scopes = []identity.Scope{identity.Read}
	}
	for _, sc := range scopes {
		if !c.Allows(sc) {
			return nil, fault.New(fault.Forbidden, "scope %s is beyond the caller's own", sc)
		}
	}
	return s.addToken(ctx, c.UserID, req.GetName(), scopes)
}

// DeleteToken revokes an API token of the caller at once.
func (s *Service) DeleteToken(ctx context.Context, req *ngfwv1.DeleteTokenRequest) (*emptypb.Empty, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	err = s.store.DeleteAPIToken(ctx, c.UserID, req.GetId())
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFound, "no API token %q", req.GetId())
	}
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

// IssueToken makes an API token for the user with this address, on behalf of
// the operator. No scopes mean all that the user's role gives.
func (s *Service) IssueToken(ctx context.Context, email, name string, scopes []string) (*ngfwv1.ApiToken, error) {
	u, err := s.store.UserByEmail(ctx, strings.ToLower(email))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFound, "no user %q", email)
	}
	if err != nil {
		return nil, err
	}
	role := Role(u.Role).Scopes()
	wanted, err := parseScopes(scopes)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		wanted = role
	}
	for _, sc := range wanted {
		if !(identity.Caller{Scopes: role}).Allows(sc) {
			return nil, fault.New(fault.Forbidden, "scope %s is beyond the role %s", sc, u.Role)
		}
	}
	return s.addToken(ctx, u.ID, name, wanted)
}

func (s *Service) addToken(ctx context.Context, user, name string, scopes []identity.Scope) (*ngfwv1.ApiToken, error) {
	switch n := utf8.RuneCountInString(name); {
	case strings.TrimSpace(name) == "":
		return nil, fault.Invalid("name", "is required")
	case n > 255:
		return nil, fault.Invalid("name", "must have at most 255 characters")
	}
	secret := newSecret(tokenPrefix)
	t := s.tokenRow(user, name, secret, scopes)
	err := s.store.CreateAPIToken(ctx, t, s.cfg.TokensPerUser)
	if errors.Is(err, store.ErrExists) {
		return nil, fault.New(fault.Conflict, "the user has %d API tokens already, delete one first", s.cfg.TokensPerUser)
	}
	if err != nil {
		return nil, err
	}
	return tokenMessage(t, secret), nil
}

func (s *Service) tokenRow(user, name, secret string, scopes []identity.Scope) store.APIToken {
	now := s.now()
	return store.APIToken{
		ID:        newID("tok"),
		User:      store.User{ID: user},
		Name:      name,
		Hash:      digest(secret),
		Scopes:    joinScopes(scopes),
		CreatedAt: now.Unix(),
		ExpiresAt: now.Add(s.cfg.TokenLifetime).Unix(),
	}
}

// tokenMessage shows a token; secret only in the answer to its creation.
func tokenMessage(t store.APIToken, secret string) *ngfwv1.ApiToken {
	m := &ngfwv1.ApiToken{
		Id:        t.ID,
		Name:      t.Name,
		Scopes:    scopeNames(splitScopes(t.Scopes)),
		CreatedAt: t.CreatedAt,
		ExpiresAt: t.ExpiresAt,
	}
	if t.LastUsed != 0 {
		m.LastUsed = &t.LastUsed
	}
	if secret != "" {
		m.Token = &secret
	}
	return m
}
