package account

import (
	"context"

	"ngfw.sh/cloud/store"
)

// Store is what the service keeps. Package cloud/store is it.
type Store interface {
	Organizations(context.Context) ([]store.Organization, error)
	SetPlan(ctx context.Context, org, plan string) error

	CreateUser(ctx context.Context, u store.User, org *store.Organization) error
	CreateFirstUser(context.Context, store.Organization, store.User, store.APIToken) error
	HasUsers(context.Context) (bool, error)
	UserByID(context.Context, string) (store.User, error)
	UserByEmail(context.Context, string) (store.User, error)
	SetPasswordHash(ctx context.Context, user, old, hash string) error

	CreateSession(ctx context.Context, s store.Session, refresh []byte) error
	Session(context.Context, string) (store.Session, error)
	RotateRefresh(ctx context.Context, old, next []byte, now, expires, grace int64) (store.Session, error)
	RevokeSession(ctx context.Context, id string, now int64) error
	RevokeRefresh(ctx context.Context, hash []byte, now int64) error
	TouchSession(ctx context.Context, id string, now int64) error
	DeleteSessions(ctx context.Context, before int64) error

	CreateAPIToken(ctx context.Context, t store.APIToken, max int) error
	APITokens(ctx context.Context, user string) ([]store.APIToken, error)
	APITokenByHash(context.Context, []byte) (store.APIToken, error)
	TouchAPIToken(ctx context.Context, id string, now int64) error
	DeleteAPIToken(ctx context.Context, user, id string) error

	SigningKeys(ctx context.Context, now int64) ([]store.SigningKey, error)
	AddSigningKey(ctx context.Context, k store.SigningKey, previous string, retire int64) error
}

// Seal encrypts the private signing keys. Package cloud/seal is it.
type Seal interface {
	Seal(secret []byte, label string) []byte
	Open(sealed []byte, label string) ([]byte, error)
}
