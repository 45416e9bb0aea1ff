package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync/atomic"

	"ngfw.sh/internal/fault"
)

// PasswordConfig are argon2id's parameters for new hashes (RFC 9106) and how
// many are computed at once. Memory in use is Concurrent times MemoryKiB, and
// about as much again until the garbage collector has seen it.
type PasswordConfig struct {
	MemoryKiB  uint32
	Passes     uint32
	Lanes      uint8
	Concurrent int // computations at the same time
	Waiting    int // log-ins that may wait for one; more are refused
}

// DefaultPasswordConfig takes some 30 ms a log-in. Of the parameters that OWASP
// holds to be equally strong it is one with little memory; two at once finish
// hardly sooner on a small machine, but hold twice the memory.
func DefaultPasswordConfig() PasswordConfig {
	return PasswordConfig{MemoryKiB: 12 << 10, Passes: 3, Lanes: 1, Concurrent: 1, Waiting: 64}
}

const (
	minPassword = 8
	maxPassword = 1024 // bytes; hashing takes time in proportion
	saltBytes   = 16
	sumBytes    = 32
)

// passwords makes and checks hashes, a bounded number at a time.
type passwords struct {
	cfg     PasswordConfig
	slots   chan struct{}
	waiting atomic.Int64
	nobody  hash // what the password of an unknown user is compared with
}

func newPasswords(cfg PasswordConfig) *passwords {
	p := &passwords{cfg: cfg, slots: make(chan struct{}, cfg.Concurrent)}
	p.nobody = p.blank()
	rand.Read(p.nobody.sum)
	return p
}

// blank is a hash with the current parameters, a fresh salt and no sum yet.
func (p *passwords) blank() hash {
	h := hash{memory: p.cfg.MemoryKiB, passes: p.cfg.Passes, lanes: p.cfg.Lanes, salt: make([]byte, saltBytes), sum: make([]byte, sumBytes)}
	rand.Read(h.salt)
	return h
}

// acquire waits for a slot; release it.
func (p *passwords) acquire(ctx context.Context) error {
	if p.waiting.Add(1) > int64(p.cfg.Waiting) {
		p.waiting.Add(-1)
		return fault.New(fault.Unavailable, "too many log-ins at once, try again in a moment")
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *passwords) release() { <-p.slots }

// hash makes the PHC string of a password that has been checked by checkPassword.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	h := p.blank()
	h.sum = h.compute(password)
	return h.String(), nil
}

// check compares in constant time. An empty encoded hash stands for a user who
// does not exist: it takes as long and is never right. old says that the hash
// was made with other parameters than the present ones.
func (p *passwords) check(ctx context.Context, encoded, password string) (right, old bool, err error) {
	h := p.nobody
	if encoded != "" {
		if h, err = parseHash(encoded); err != nil {
			return false, false, err
		}
	}
	if err := p.acquire(ctx); err != nil {
		return false, false, err
	}
	defer p.release()
	right = subtle.ConstantTimeCompare(h.compute(password), h.sum) == 1 && encoded != ""
	old = h.memory != p.cfg.MemoryKiB || h.passes != p.cfg.Passes || h.lanes != p.cfg.Lanes
	return right, old, nil
}

// checkPassword refuses what must not become a password.
func checkPassword(password string) error {
	switch {
	case len(password) < minPassword:
		return fault.Invalid("password", "must have at least %d characters", minPassword)
	case len(password) > maxPassword:
		return fault.Invalid("password", "must have at most %d bytes", maxPassword)
	}
	return nil
}
