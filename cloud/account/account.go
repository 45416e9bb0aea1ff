// Package account owns users, their sessions and API tokens, and the cloud's
// own token issuer: it decides who is calling and with which rights.
//
// Invariants: no password, refresh token or API token is stored, only hashes of
// them; a role bounds every credential of its user at the moment of use, so a
// lowered role, an ended session or a deleted token counts with the next
// request; the stored plan of the organisation wins over a token's claim.
//
// A Service is safe for concurrent use. Several processes may share a store:
// each finds the others' signing keys. It knows no HTTP (cookies, headers and
// status codes are package cloud/api's) and limits log-ins only by the memory
// they take; limits per address are the interceptor chain's.
package account

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Config are the lifetimes and bounds.
type Config struct {
	Issuer          string        // claim "iss" of own access tokens
	AccessLifetime  time.Duration // of an access token
	SessionLifetime time.Duration // without a refresh
	CookieGrace     time.Duration // for which a cookie's refresh token may come again
	TokenLifetime   time.Duration // of an API token
	KeyLifetime     time.Duration // after which another key signs
	TokensPerUser   int           // API tokens
	Password        PasswordConfig
}

// DefaultConfig is what the specification names, and sound values for the rest.
func DefaultConfig() Config {
	return Config{
		Issuer:          "urn:ngfw:cloud",
		AccessLifetime:  time.Hour,
		SessionLifetime: 30 * 24 * time.Hour,
		CookieGrace:     10 * time.Second,
		TokenLifetime:   365 * 24 * time.Hour,
		KeyLifetime:     90 * 24 * time.Hour,
		TokensPerUser:   100,
		Password:        DefaultPasswordConfig(),
	}
}

// Deps are what the service works with. Registry and Now may be nil.
type Deps struct {
	Store    Store
	Seal     Seal
	Log      *slog.Logger
	Registry prometheus.Registerer
	Now      func() time.Time
}

// Service implements ngfwv1.AccountServiceServer and authenticates callers.
type Service struct {
	ngfwv1.UnimplementedAccountServiceServer
	cfg      Config
	store    Store
	log      *slog.Logger
	now      func() time.Time
	password *passwords
	keys     *keyring
	issuers  []issuer
	used     chan use
	metrics  metrics
}

// New makes a service; Load comes next, then Run beside the use of it.
func New(cfg Config, deps Deps) *Service {
	s := &Service{
		cfg:      cfg,
		store:    deps.Store,
		log:      deps.Log,
		now:      deps.Now,
		password: newPasswords(cfg.Password),
		used:     make(chan use, 256),
		metrics:  newMetrics(deps.Registry),
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.keys = newKeyring(deps.Store, deps.Seal, s.now)
	s.issuers = []issuer{{
		name:       cfg.Issuer,
		algorithms: []string{algorithm},
		keys:       s.keys,
		resolve:    s.session,
	}}
	return s
}

// Load reads the signing keys, making one on the first start. Nothing can be
// signed or verified before.
func (s *Service) Load(ctx context.Context) error {
	if err := s.keys.load(ctx); err != nil {
		return err
	}
	if s.keys.due(s.cfg.KeyLifetime) {
		return s.RotateKey(ctx)
	}
	return nil
}

// RotateKey makes a new signing key; the one before stays published until the
// last token it signed has expired.
func (s *Service) RotateKey(ctx context.Context) error {
	// The margin covers processes that have not yet seen the new key.
	if err := s.keys.rotate(ctx, s.cfg.AccessLifetime+10*time.Minute); err != nil {
		return err
	}
	s.log.Info("new signing key", "kid", s.keys.signing().KID)
	return nil
}

// JWKS is the document of /.well-known/jwks.json: the public keys.
func (s *Service) JWKS() []byte { return s.keys.document() }

// Run notes the use of credentials, follows the signing keys of other
// processes, rotates the own key and forgets sessions that ended long ago,
// until the context ends.
func (s *Service) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	swept := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-s.used:
			s.note(ctx, u)
		case <-minute.C:
			if err := s.Load(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("signing keys not reloaded", "error", err)
			}
			if s.now().Sub(swept) < time.Hour {
				continue
			}
			swept = s.now()
			if err := s.store.DeleteSessions(ctx, swept.Add(-7*24*time.Hour).Unix()); err != nil && ctx.Err() == nil {
				s.log.Error("old sessions not deleted", "error", err)
			}
		}
	}
}
