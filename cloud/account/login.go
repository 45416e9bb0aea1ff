package account

import (
	"context"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Login opens a session. A wrong password and an unknown address get the same
// answer after the same time.
func (s *Service) Login(ctx context.Context, req *ngfwv1.LoginRequest) (*ngfwv1.TokenResponse, error) {
	res, err := s.login(ctx, req)
	s.metrics.login(err)
	return res, err
}

func (s *Service) login(ctx context.Context, req *ngfwv1.LoginRequest) (*ngfwv1.TokenResponse, error) {
	email, password := strings.ToLower(strings.TrimSpace(req.GetEmail())), req.GetPassword()
	switch {
	case email == "":
		return nil, fault.Invalid("email", "is required")
	case password == "":
		return nil, fault.Invalid("password", "is required")
	case len(password) > maxPassword:
		return nil, fault.Invalid("password", "must have at most %d bytes", maxPassword)
	}
	u, err := s.store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	right, old, err := s.password.check(ctx, u.PasswordHash, password)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, unauthorized("wrong e-mail address or password")
	}
	if old {
		s.renewHash(ctx, u, password)
	}
	now := s.now()
	n := store.Session{ID: newID("ses"), User: u, CreatedAt: now.Unix(), LastActive: now.Unix(), ExpiresAt: now.Add(s.cfg.SessionLifetime).Unix()}
	o := identity.OriginFrom(ctx)
	n.Address, n.Agent = o.Address, o.Agent
	refresh := newSecret(refreshPrefix)
	if err := s.store.CreateSession(ctx, n, digest(refresh)); err != nil {
		return nil, err
	}
	return s.issue(n, refresh)
}

// renewHash brings a hash to the present parameters; a failure costs nothing
// but another try at the next log-in.
func (s *Service) renewHash(ctx context.Context, u store.User, password string) {
	h, err := s.password.hash(ctx, password)
	if err == nil {
		err = s.store.SetPasswordHash(ctx, u.ID, u.PasswordHash, h)
	}
	if err != nil {
		s.log.Warn("password hash not renewed", "user", u.ID, "error", err)
	}
}

// Refresh exchanges a refresh token for the next one and an access token. A
// refresh token that comes twice ends the session. Out of a cookie it may come
// again within CookieGrace: a page that is left before the answer arrives, or two
// pages at once, still have the old one.
func (s *Service) Refresh(ctx context.Context, req *ngfwv1.RefreshRequest) (*ngfwv1.TokenResponse, error) {
	old := req.GetRefreshToken()
	if old == "" {
		return nil, fault.Invalid("refresh_token", "is required")
	}
	grace := int64(0)
	if req.GetFromCookie() {
		grace = int64(s.cfg.CookieGrace.Seconds())
	}
	next := newSecret(refreshPrefix)
	now := s.now()
	n, err := s.store.RotateRefresh(ctx, digest(old), digest(next), now.Unix(), now.Add(s.cfg.SessionLifetime).Unix(), grace)
	switch {
	case errors.Is(err, store.ErrReused):
		s.metrics.reused.Inc()
		s.log.Warn("refresh token came a second time, session revoked")
		return nil, unauthorized("refresh token was used before, the session is revoked")
	case errors.Is(err, store.ErrNotFound):
		return nil, unauthorized("refresh token expired, revoked or unknown")
	case err != nil:
		return nil, err
	}
	return s.issue(n, next)
}

// Logout ends the session of the refresh token, or of the caller where none is
// given. Ending one that has ended already is no error.
func (s *Service) Logout(ctx context.Context, req *ngfwv1.LogoutRequest) (*emptypb.Empty, error) {
	now := s.now().Unix()
	if t := req.GetRefreshToken(); t != "" {
		return &emptypb.Empty{}, s.store.RevokeRefresh(ctx, digest(t), now)
	}
	if c, _ := identity.From(ctx); c.Session != "" {
		return &emptypb.Empty{}, s.store.RevokeSession(ctx, c.Session, now)
	}
	return nil, fault.Invalid("refresh_token", "is required")
}

// issue signs an access token of the session.
func (s *Service) issue(n store.Session, refresh string) (*ngfwv1.TokenResponse, error) {
	key := s.keys.signing()
	if key == nil {
		return nil, fault.New(fault.Unavailable, "no signing key is loaded")
	}
	now := s.now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.cfg.Issuer,
			Subject:   n.User.ID,
			ID:        newID("jwt"),
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.cfg.AccessLifetime)),
		},
		OrgID:   n.User.OrgID,
		Plan:    PlanOf(n.User.Plan),
		Scope:   joinScopes(Role(n.User.Role).Scopes()),
		Session: n.ID,
	})
	t.Header["kid"] = key.KID
	access, err := t.SignedString(key.private)
	if err != nil {
		return nil, err
	}
	return &ngfwv1.TokenResponse{
		AccessToken:  access,
		TokenType:    "Bearer",
		ExpiresIn:    int64(s.cfg.AccessLifetime.Seconds()),
		RefreshToken: refresh,
	}, nil
}
