package account

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestLoginGivesTheOwnersRights(t *testing.T) {
	b := newBed(t)
	res := b.mustLogin(t)
	if res.TokenType != "Bearer" || res.ExpiresIn != 3600 {
		t.Errorf("%+v", res)
	}
	c := b.mustCaller(t, res.AccessToken)
	if c.OrgID != b.owner.Organization || c.Plan != "business_plus" || !c.Allows(identity.Admin) || c.Session == "" || c.TokenID != "" {
		t.Errorf("%+v", c)
	}
	n, err := b.store.Session(t.Context(), c.Session)
	if err != nil || n.Address != "192.0.2.1" || n.Agent != "test" {
		t.Errorf("%+v, %v", n, err)
	}
	b.clock.add(time.Hour + leeway + time.Second)
	_, err = b.Authenticate(t.Context(), res.AccessToken)
	refused(t, err, fault.Unauthorized, "token expired")
}

func TestRefusedLogins(t *testing.T) {
	b := newBed(t)
	const wrong = "wrong e-mail address or password"
	for _, tc := range []struct {
		name, email, password string
		code                  fault.Code
		want                  string
	}{
		{"wrong password", b.owner.Email, "guess", fault.Unauthorized, wrong},
		{"unknown address", "nobody@ngfw.local", b.owner.Password, fault.Unauthorized, wrong},
		{"no password", b.owner.Email, "", fault.InvalidConfig, "is required"},
		{"no address", "", b.owner.Password, fault.InvalidConfig, "is required"},
		{"huge password", b.owner.Email, string(make([]byte, 1<<20)), fault.InvalidConfig, "must have at most 1024 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := b.Login(t.Context(), &ngfwv1.LoginRequest{Email: tc.email, Password: tc.password})
			refused(t, err, tc.code, tc.want)
		})
	}
	if n := testutil.ToFloat64(b.metrics.logins.WithLabelValues("refused")); n != 5 {
		t.Errorf("%v refused log-ins counted", n)
	}
	if _, err := b.Login(t.Context(), &ngfwv1.LoginRequest{Email: " Owner@NGFW.local ", Password: b.owner.Password}); err != nil {
		t.Errorf("address in other letters: %v", err)
	}
}

func TestUnknownAddressCostsAHash(t *testing.T) {
	b := newBed(t)
	for range cap(b.password.slots) {
		b.password.slots <- struct{}{} // nobody may compute
	}
	for _, email := range []string{b.owner.Email, "nobody@ngfw.local"} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := b.Login(ctx, &ngfwv1.LoginRequest{Email: email, Password: "x"})
			done <- err
		}()
		eventually(t, "log-in waits for its hash", func() bool { return b.password.waiting.Load() == 1 })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", email, err)
		}
	}
}

func TestRefreshRotates(t *testing.T) {
	b := newBed(t)
	first := b.mustLogin(t)
	second, err := b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: first.RefreshToken})
	if err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Error("the tokens are the old ones")
	}
	if a, z := b.mustCaller(t, first.AccessToken), b.mustCaller(t, second.AccessToken); a.Session != z.Session {
		t.Error("another session")
	}

	// The old one again: somebody holds a copy, so both lose.
	_, err = b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: first.RefreshToken})
	refused(t, err, fault.Unauthorized, "refresh token was used before, the session is revoked")
	_, err = b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: second.RefreshToken})
	refused(t, err, fault.Unauthorized, "refresh token expired, revoked or unknown")
	_, err = b.Authenticate(t.Context(), second.AccessToken)
	refused(t, err, fault.Unauthorized, "session revoked")
	b.mustCaller(t, b.mustLogin(t).AccessToken) // a new log-in is not affected
}

func TestConcurrentRefreshHasOneWinner(t *testing.T) {
	b := newBed(t)
	token := b.mustLogin(t).RefreshToken
	results := make(chan error)
	for range 8 {
		go func() {
			_, err := b.Refresh(context.Background(), &ngfwv1.RefreshRequest{RefreshToken: token})
			results <- err
		}()
	}
	won := 0
	for range 8 {
		if err := <-results; err == nil {
			won++
		} else if !fault.Is(err, fault.Unauthorized) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d refreshes succeeded", won)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Run("by time", func(t *testing.T) {
		b := newBed(t)
		token := b.mustLogin(t).RefreshToken
		b.clock.add(b.cfg.SessionLifetime - time.Second)
		res, err := b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: token})
		if err != nil {
			t.Fatal(err)
		}
		b.clock.add(b.cfg.SessionLifetime)
		_, err = b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: res.RefreshToken})
		refused(t, err, fault.Unauthorized, "refresh token expired, revoked or unknown")
	})
	t.Run("by log-out with the refresh token", func(t *testing.T) {
		b := newBed(t)
		res := b.mustLogin(t)
		for range 2 {
			if _, err := b.Logout(t.Context(), &ngfwv1.LogoutRequest{RefreshToken: res.RefreshToken}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Authenticate(t.Context(), res.AccessToken)
		refused(t, err, fault.Unauthorized, "session revoked")
	})
	t.Run("by log-out with the access token", func(t *testing.T) {
		b := newBed(t)
		res := b.mustLogin(t)
		ctx := identity.With(t.Context(), b.mustCaller(t, res.AccessToken))
		if _, err := b.Logout(ctx, &ngfwv1.LogoutRequest{}); err != nil {
			t.Fatal(err)
		}
		_, err := b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: res.RefreshToken})
		refused(t, err, fault.Unauthorized, "refresh token expired, revoked or unknown")
		_, err = b.Logout(t.Context(), &ngfwv1.LogoutRequest{})
		refused(t, err, fault.InvalidConfig, "is required")
	})
}

func TestRunForgetsOldSessions(t *testing.T) {
	b := newBed(t)
	c := b.mustCaller(t, b.mustLogin(t).AccessToken)
	before := b.clock.now().Unix()
	if err := b.store.DeleteSessions(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Session(t.Context(), c.Session); err != nil {
		t.Errorf("a live session is gone: %v", err)
	}
	if err := b.store.RevokeSession(t.Context(), c.Session, before); err != nil {
		t.Fatal(err)
	}
	if err := b.store.DeleteSessions(t.Context(), before+1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Session(t.Context(), c.Session); err == nil {
		t.Error("an ended session is still there")
	}
}

// A page that is left before the answer comes has the old cookie still.
func TestRefreshOutOfACookieMayComeAgainForAWhile(t *testing.T) {
	b := newBed(t)
	first := b.mustLogin(t)
	again := &ngfwv1.RefreshRequest{RefreshToken: first.RefreshToken, FromCookie: true}
	one, err := b.Refresh(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.add(b.cfg.CookieGrace)
	two, err := b.Refresh(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if one.RefreshToken == two.RefreshToken {
		t.Error("one token was given twice")
	}
	for _, r := range []*ngfwv1.TokenResponse{one, two} {
		b.mustCaller(t, r.AccessToken)
	}
	// The while is counted from the first time, and what is no cookie has none.
	b.clock.add(time.Second)
	_, err = b.Refresh(t.Context(), again)
	refused(t, err, fault.Unauthorized, "refresh token was used before, the session is revoked")
	_, err = b.Refresh(t.Context(), &ngfwv1.RefreshRequest{RefreshToken: two.RefreshToken, FromCookie: true})
	refused(t, err, fault.Unauthorized, "refresh token expired, revoked or unknown")
}
