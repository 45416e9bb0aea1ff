package account

import (
	"context"
	"strings"
	"sync"
	"testing"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestHashRecordsItsParameters(t *testing.T) {
	p := newPasswords(DefaultPasswordConfig())
	h, err := p.hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(h, "$argon2id$v=19$m=12288,t=3,p=1$") {
		t.Error(h)
	}
	for _, tc := range []struct {
		hash, password string
		right          bool
	}{{h, "correct horse", true}, {h, "correct horsf", false}, {h, "", false}, {"", "correct horse", false}} {
		right, old, err := p.check(t.Context(), tc.hash, tc.password)
		if right != tc.right || old || err != nil {
			t.Errorf("%q: %v %v %v", tc.password, right, old, err)
		}
	}
	if again, _ := p.hash(t.Context(), "correct horse"); again == h {
		t.Error("the same salt twice")
	}
}

func TestLoginRenewsAnOldHash(t *testing.T) {
	b := newBed(t)
	cfg := testConfig()
	cfg.Password.Passes = 2
	s := b.process(t, cfg)
	for range 2 {
		if _, err := s.Login(t.Context(), &ngfwv1.LoginRequest{Email: b.owner.Email, Password: b.owner.Password}); err != nil {
			t.Fatal(err)
		}
		u, err := b.store.UserByEmail(t.Context(), b.owner.Email)
		if err != nil || !strings.Contains(u.PasswordHash, "t=2") {
			t.Errorf("%s, %v", u.PasswordHash, err)
		}
	}
}

func TestHashesAreBounded(t *testing.T) {
	cfg := testConfig().Password
	cfg.Concurrent, cfg.Waiting = 1, 3
	p := newPasswords(cfg)
	p.slots <- struct{}{}
	var wg sync.WaitGroup
	for range cfg.Waiting {
		wg.Go(func() {
			if _, err := p.hash(t.Context(), "x"); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all wait", func() bool { return p.waiting.Load() == int64(cfg.Waiting) })
	if _, err := p.hash(context.Background(), "x"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("one too many: %v", err)
	}
	<-p.slots
	wg.Wait()
	if n := p.waiting.Load(); n != 0 {
		t.Errorf("%d still waiting", n)
	}
}

func TestDamagedHashIsNoPanic(t *testing.T) {
	p := newPasswords(testConfig().Password)
	good, _ := p.hash(t.Context(), "x")
	for _, h := range []string{"x", "$argon2id$", strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "p=1", "p=0", 1),
		strings.Replace(good, "m=64", "m=4294967295", 1), strings.Replace(good, "p=1", "p=1x", 1), good[:len(good)-40], good + "$", strings.Replace(good, "argon2id", "argon2i", 1)} {
		if right, _, err := p.check(t.Context(), h, "x"); err == nil || right {
			t.Errorf("%s: %v %v", h, right, err)
		}
	}
}
