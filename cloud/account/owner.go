package account

import (
	"context"
	"errors"
	"strings"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// FirstOwner is who a new installation starts with: the credentials that its
// operator reads once.
type FirstOwner struct {
	Email        string
	Password     string
	APIToken     string
	Organization string // id
}

// NewFirstOwner makes fresh credentials; nothing is stored yet.
func NewFirstOwner(email string) FirstOwner {
	return FirstOwner{Email: email, Password: NewPassword(), APIToken: newSecret(tokenPrefix), Organization: newID("org")}
}

// Check refuses credentials that NewFirstOwner would not have made.
func (o FirstOwner) Check() error {
	if _, err := address(o.Email); err != nil {
		return err
	}
	if err := checkPassword(o.Password); err != nil {
		return err
	}
	if !isSecret(tokenPrefix, o.APIToken) {
		return errors.New("api_token is none")
	}
	if !strings.HasPrefix(o.Organization, "org_") {
		return errors.New("organization_id is none")
	}
	return nil
}

// HasUsers says whether the installation has been given any user.
func (s *Service) HasUsers(ctx context.Context) (bool, error) { return s.store.HasUsers(ctx) }

// CreateFirstOwner stores the owner with an organisation on the plan
// business_plus and the API token with all scopes, all or nothing. It does so
// only while there is no user at all; made is false otherwise.
func (s *Service) CreateFirstOwner(ctx context.Context, o FirstOwner) (made bool, err error) {
	if err := o.Check(); err != nil {
		return false, err
	}
	hash, err := s.password.hash(ctx, o.Password)
	if err != nil {
		return false, err
	}
	now := s.now().Unix()
	org := store.Organization{ID: o.Organization, Name: "default", Plan: "business_plus", CreatedAt: now}
	u := store.User{ID: newID("usr"), OrgID: org.ID, Email: strings.ToLower(o.Email), Role: string(Owner), PasswordHash: hash, CreatedAt: now}
	err = s.store.CreateFirstUser(ctx, org, u, s.tokenRow(u.ID, "bootstrap", o.APIToken, Owner.Scopes()))
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Operator is the caller that a command on the service's own machine speaks
// for: all rights in the organisation with this id or name, empty for the only
// one.
func (s *Service) Operator(ctx context.Context, organization string) (identity.Caller, error) {
	org, isNew, err := s.home(ctx, organization)
	if err != nil {
		return identity.Caller{}, err
	}
	if isNew {
		return identity.Caller{}, fault.New(fault.NotFound, "no organization %q", organization)
	}
	return identity.Caller{UserID: "operator", OrgID: org.ID, Plan: PlanOf(org.Plan), Scopes: Owner.Scopes(), Agent: "ngfw-cloud"}, nil
}
