package account

import (
	"context"
	"errors"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Profile is the calling user.
func (s *Service) Profile(ctx context.Context, _ *ngfwv1.ProfileRequest) (*ngfwv1.Profile, error) {
	c, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	u, err := s.store.UserByID(ctx, c.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, unauthorized("user removed")
	}
	if err != nil {
		return nil, err
	}
	p := &ngfwv1.Profile{
		Id:             u.ID,
		Email:          u.Email,
		EmailVerified:  u.EmailVerified,
		CreatedAt:      u.CreatedAt,
		OrganizationId: &u.OrgID,
		Plan:           PlanOf(u.Plan),
	}
	if u.Name != "" {
		p.Name = &u.Name
	}
	return p, nil
}

// caller is who the interceptor chain found.
func caller(ctx context.Context) (identity.Caller, error) {
	c, ok := identity.From(ctx)
	if !ok || c.UserID == "" {
		return c, unauthorized("missing token")
	}
	return c, nil
}
