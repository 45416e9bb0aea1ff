// Package ticket owns single-use tickets that stand for a credential for a short
// while: a browser has no header to send one in when it opens a WebSocket.
//
// A ticket is good once and for its lifetime, and the store is bounded: beyond
// its size the oldest goes. What a ticket stands for never leaves the process.
// A Store is safe for concurrent use and ends with the process. It does not
// know what the credential is worth; who redeems one must check it again.
package ticket

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

// Prefix marks a ticket, so that one in a log is known for what it was.
const Prefix = "ngfw_tkt_"

// Store holds tickets that have been issued and not redeemed.
type Store struct {
	lifetime time.Duration
	most     int
	now      func() time.Time

	mu    sync.Mutex // guards what follows
	held  map[[sha256.Size]byte]entry
	order [][sha256.Size]byte // as they were issued; redeemed ones too, until they are old
}

type entry struct {
	credential string
	until      time.Time
}

// NewStore holds at most so many tickets for so long.
func NewStore(lifetime time.Duration, most int, now func() time.Time) *Store {
	return &Store{lifetime: lifetime, most: most, now: now, held: map[[sha256.Size]byte]entry{}}
}

// Lifetime is how long a ticket is good for.
func (s *Store) Lifetime() time.Duration { return s.lifetime }

// Issue makes a ticket that stands for the credential.
func (s *Store) Issue(credential string) string {
	var secret [24]byte
	_, _ = rand.Read(secret[:]) // never fails, see crypto/rand
	t := Prefix + base64.RawURLEncoding.EncodeToString(secret[:])
	key := sha256.Sum256([]byte(t))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	s.held[key] = entry{credential, s.now().Add(s.lifetime)}
	s.order = append(s.order, key)
	return t
}

// Redeem gives the credential of a ticket, once.
func (s *Store) Redeem(t string) (credential string, ok bool) {
	key := sha256.Sum256([]byte(t))
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.held[key]
	delete(s.held, key)
	if !ok || !s.now().Before(e.until) {
		return "", false
	}
	return e.credential, true
}

// sweep drops the oldest until there is room and the first is still good.
func (s *Store) sweep() {
	for len(s.order) > 0 {
		e, ok := s.held[s.order[0]]
		if ok && s.now().Before(e.until) && len(s.order) < s.most {
			return
		}
		delete(s.held, s.order[0])
		s.order = s.order[1:]
	}
}
