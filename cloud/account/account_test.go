package account

import (
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/seal"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bed is a service over a real store, with cheap hashes.
type bed struct {
	*Service
	clock *clock
	store *store.Store
	seal  *seal.Key
	owner FirstOwner
}

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Password.MemoryKiB, cfg.Password.Passes = 64, 1
	return cfg
}

func newBed(t testing.TB) *bed {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	st, err := store.Open(ctx, filepath.Join(dir, "cloud.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	key, err := seal.Load(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{clock: &clock{t: time.Unix(1_800_000_000, 0)}, store: st, seal: key, owner: NewFirstOwner("owner@ngfw.local")}
	b.Service = b.process(t, testConfig())
	if made, err := b.CreateFirstOwner(ctx, b.owner); err != nil || !made {
		t.Fatal(made, err)
	}
	return b
}

// process is one more service over the same store.
func (b *bed) process(t testing.TB, cfg Config) *Service {
	t.Helper()
	s := New(cfg, Deps{Store: b.store, Seal: b.seal, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Now: b.clock.now})
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *bed) mustLogin(t *testing.T) *ngfwv1.TokenResponse {
	t.Helper()
	ctx := identity.WithOrigin(t.Context(), identity.Origin{Address: "192.0.2.1", Agent: "test"})
	res, err := b.Login(ctx, &ngfwv1.LoginRequest{Email: b.owner.Email, Password: b.owner.Password})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (b *bed) mustCaller(t *testing.T, bearer string) identity.Caller {
	t.Helper()
	c, err := b.Authenticate(t.Context(), bearer)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mustUser makes a user of the owner's organisation and logs in.
func (b *bed) mustUser(t *testing.T, email string, role Role) (store.User, string) {
	t.Helper()
	u, err := b.CreateUser(t.Context(), NewUser{Email: email, Password: "correct horse", Organization: b.owner.Organization, Role: string(role)})
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.Login(t.Context(), &ngfwv1.LoginRequest{Email: email, Password: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	return u, res.AccessToken
}

// refused demands a fault with this code and text.
func refused(t *testing.T, err error, code fault.Code, text string) {
	t.Helper()
	f, ok := fault.As(err)
	if !ok || f.Code != code || f.Message != text {
		t.Errorf("got %#v (%v), want %s %q", f, err, code, text)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 10 s: " + what)
		}
	}
}
