package account

import (
	"context"
	"errors"
	"net/mail"
	"strings"
	"unicode/utf8"

	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// NewUser is what the operator says about a user to be made.
type NewUser struct {
	Email    string
	Password string
	// Organization is an id or a name. A name that no organisation has makes
	// one, on the plan starter. Empty means the only organisation.
	Organization string
	Role         string // empty: owner of a new organisation, else member
}

// CreateUser makes a user, and an organisation where the name is new.
func (s *Service) CreateUser(ctx context.Context, n NewUser) (store.User, error) {
	email, err := address(n.Email)
	if err != nil {
		return store.User{}, err
	}
	if err := checkPassword(n.Password); err != nil {
		return store.User{}, err
	}
	if _, err := s.store.UserByEmail(ctx, email); err == nil {
		return store.User{}, taken(email)
	}
	org, isNew, err := s.home(ctx, n.Organization)
	if err != nil {
		return store.User{}, err
	}
	role, fresh := Member, (*store.Organization)(nil)
	if isNew {
		role, fresh = Owner, &org
	}
	if n.Role != "" {
		if role, err = ParseRole(n.Role); err != nil {
			return store.User{}, err
		}
	}
	hash, err := s.password.hash(ctx, n.Password)
	if err != nil {
		return store.User{}, err
	}
	u := store.User{ID: newID("usr"), OrgID: org.ID, Email: email, Role: string(role), PasswordHash: hash, CreatedAt: s.now().Unix(), Plan: org.Plan}
	if err := s.store.CreateUser(ctx, u, fresh); errors.Is(err, store.ErrExists) {
		return store.User{}, taken(email)
	} else if err != nil {
		return store.User{}, err
	}
	return u, nil
}

// home finds the organisation for a new user, or prepares one.
func (s *Service) home(ctx context.Context, key string) (org store.Organization, isNew bool, err error) {
	if key == "" {
		all, err := s.store.Organizations(ctx)
		switch {
		case err != nil:
			return org, false, err
		case len(all) == 1:
			return all[0], false, nil
		}
		return org, false, fault.Invalid("org", "name one: there are %d organizations", len(all))
	}
	org, err = s.organization(ctx, key)
	if !errors.Is(err, errNoOrganization) {
		return org, false, err
	}
	if strings.HasPrefix(key, "org_") {
		return org, false, err // meant as an id: a new organisation would hide a slip
	}
	if utf8.RuneCountInString(key) > 255 {
		return org, false, fault.Invalid("org", "must have at most 255 characters")
	}
	return store.Organization{ID: newID("org"), Name: key, Plan: plans[0], CreatedAt: s.now().Unix()}, true, nil
}

func taken(email string) error { return fault.New(fault.Conflict, "there is a user %q already", email) }

// address checks an e-mail address and brings it to lower case.
func address(s string) (string, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 {
		return "", fault.Invalid("email", "%q is not an e-mail address", s)
	}
	return strings.ToLower(s), nil
}
