package account

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestAPITokenLivesAndDies(t *testing.T) {
	b := newBed(t)
	ctx := identity.With(t.Context(), b.mustCaller(t, b.mustLogin(t).AccessToken))
	made, err := b.CreateToken(ctx, &ngfwv1.CreateTokenRequest{Name: "ci", Scopes: []string{"write", "read", "write"}})
	if err != nil {
		t.Fatal(err)
	}
	if !isSecret(tokenPrefix, made.GetToken()) || made.ExpiresAt-made.CreatedAt != 365*24*3600 || made.LastUsed != nil {
		t.Errorf("%+v", made)
	}
	c := b.mustCaller(t, made.GetToken())
	if !c.Allows(identity.Write) || c.Allows(identity.Admin) || c.TokenID != made.Id || c.Session != "" || c.OrgID != b.owner.Organization {
		t.Errorf("%+v", c)
	}
	list, err := b.ListTokens(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := list.Tokens[len(list.Tokens)-1]
	if got.Token != nil || got.Name != "ci" || !cmp.Equal(got.Scopes, []string{"read", "write"}) {
		t.Errorf("%+v", got)
	}
	row, err := b.store.APITokenByHash(ctx, digest(made.GetToken()))
	if err != nil || bytes.Contains(row.Hash, []byte(made.GetToken())) {
		t.Error("stored open", err)
	}

	// Somebody else cannot delete it.
	_, other := b.mustUser(t, "other@example.org", Admin)
	_, err = b.DeleteToken(identity.With(t.Context(), b.mustCaller(t, other)), &ngfwv1.DeleteTokenRequest{Id: made.Id})
	if !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if _, err := b.DeleteToken(ctx, &ngfwv1.DeleteTokenRequest{Id: made.Id}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Authenticate(t.Context(), made.GetToken())
	refused(t, err, fault.Unauthorized, "API token revoked or unknown")
	_, err = b.DeleteToken(ctx, &ngfwv1.DeleteTokenRequest{Id: made.Id})
	if !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestRefusedAPITokens(t *testing.T) {
	b := newBed(t)
	for _, bad := range []string{"ngfw_pat_", b.owner.APIToken[:40], b.owner.APIToken + "0", strings.ToUpper(b.owner.APIToken[9:]), newSecret(tokenPrefix)} {
		_, err := b.Authenticate(t.Context(), bad)
		if !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	b.clock.add(b.cfg.TokenLifetime)
	_, err := b.Authenticate(t.Context(), b.owner.APIToken)
	refused(t, err, fault.Unauthorized, "API token expired")
}

func TestPlanGovernsAPITokens(t *testing.T) {
	b := newBed(t)
	session := b.mustLogin(t).AccessToken
	for plan, open := range map[string]bool{"starter": false, "pro": false, "business": true, "business_plus": true} {
		if _, err := b.SetPlan(t.Context(), b.owner.Organization, plan); err != nil {
			t.Fatal(err)
		}
		c, err := b.Authenticate(t.Context(), b.owner.APIToken)
		if open != (err == nil) || !open && !fault.Is(err, fault.PlanLimit) || open && c.Plan != plan {
			t.Errorf("%s: %+v, %v", plan, c, err)
		}
		s := b.mustCaller(t, session) // issued under another plan: the stored one wins
		if s.Plan != plan {
			t.Errorf("session says %s on %s", s.Plan, plan)
		}
		_, err = b.CreateToken(identity.With(t.Context(), s), &ngfwv1.CreateTokenRequest{Name: "x"})
		if open != (err == nil) {
			t.Errorf("create on %s: %v", plan, err)
		}
	}
	_, err := b.SetPlan(t.Context(), b.owner.Organization, "gold")
	refused(t, err, fault.InvalidConfig, `must be starter, pro, business or business_plus, not "gold"`)
	if _, err := b.SetPlan(t.Context(), "org_none", "pro"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestScopesNeverGrow(t *testing.T) {
	b := newBed(t)
	all := []string{"read", "write", "admin"}
	for _, role := range []Role{Owner, Admin, Member, Viewer} {
		u, session := b.mustUser(t, string(role)+"@example.org", role)
		c := b.mustCaller(t, session)
		ctx := identity.With(t.Context(), c)
		for _, scope := range all {
			may := slices.Contains(scopeNames(role.Scopes()), scope)
			if c.Allows(identity.Scope(scope)) != may {
				t.Errorf("%s session: %s is %v", role, scope, !may)
			}
			for _, create := range []func() (*ngfwv1.ApiToken, error){
				func() (*ngfwv1.ApiToken, error) {
					return b.CreateToken(ctx, &ngfwv1.CreateTokenRequest{Name: "x", Scopes: []string{scope}})
				},
				func() (*ngfwv1.ApiToken, error) { return b.IssueToken(ctx, u.Email, "x", []string{scope}) },
			} {
				if _, err := create(); may != (err == nil) || !may && !fault.Is(err, fault.Forbidden) {
					t.Errorf("%s: create %s: %v", role, scope, err)
				}
			}
		}
	}
	// A read token cannot make a greater one, whoever owns it.
	made, err := b.IssueToken(t.Context(), b.owner.Email, "r", []string{"read"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := identity.With(t.Context(), b.mustCaller(t, made.GetToken()))
	if _, err := b.CreateToken(ctx, &ngfwv1.CreateTokenRequest{Name: "x", Scopes: []string{"admin"}}); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
	if made, err := b.CreateToken(ctx, &ngfwv1.CreateTokenRequest{Name: "x"}); err != nil || !cmp.Equal(made.Scopes, []string{"read"}) {
		t.Errorf("default scopes: %v, %v", made, err)
	}
}

func TestARoleBoundsAtUse(t *testing.T) {
	for _, tc := range []struct {
		role   Role
		scopes string
		want   string
	}{
		{Owner, "admin", "read write admin"},
		{Owner, "read", "read"},
		{Member, "read write admin", "read write"},
		{Viewer, "admin", "read"},
		{Viewer, "", ""},
		{Owner, "root", ""},
		{Role("guest"), "admin", ""},
	} {
		if got := joinScopes(tc.role.bounded(splitScopes(tc.scopes))); got != tc.want {
			t.Errorf("%s with %q: %q, want %q", tc.role, tc.scopes, got, tc.want)
		}
	}
}

func TestTokenInput(t *testing.T) {
	b := newBed(t)
	ctx := identity.With(t.Context(), b.mustCaller(t, b.owner.APIToken))
	for _, tc := range []struct {
		req  *ngfwv1.CreateTokenRequest
		path string
	}{
		{&ngfwv1.CreateTokenRequest{Name: " "}, "name"},
		{&ngfwv1.CreateTokenRequest{Name: strings.Repeat("ä", 256)}, "name"},
		{&ngfwv1.CreateTokenRequest{Name: "x", Scopes: []string{"root"}}, "scopes"},
	} {
		_, err := b.CreateToken(ctx, tc.req)
		if f, ok := fault.As(err); !ok || f.Field() != tc.path {
			t.Errorf("%v: %v", tc.req, err)
		}
	}
	b.cfg.TokensPerUser = 2
	if _, err := b.CreateToken(ctx, &ngfwv1.CreateTokenRequest{Name: "x"}); err != nil {
		t.Error(err)
	}
	if _, err := b.CreateToken(ctx, &ngfwv1.CreateTokenRequest{Name: "x"}); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"profile": second(b.Profile(t.Context(), nil)), "list": second(b.ListTokens(t.Context(), nil)),
		"create": second(b.CreateToken(t.Context(), nil)), "delete": second(b.DeleteToken(t.Context(), nil)),
	} {
		if !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s without a caller: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestUseIsNotedOnceAMinute(t *testing.T) {
	b := newBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	lastUsed := func() int64 {
		row, err := b.store.APITokenByHash(ctx, digest(b.owner.APIToken))
		if err != nil {
			t.Fatal(err)
		}
		return row.LastUsed
	}
	start := b.clock.now().Unix()
	b.mustCaller(t, b.owner.APIToken)
	eventually(t, "use noted", func() bool { return lastUsed() == start })
	b.clock.add(59 * time.Second)
	b.mustCaller(t, b.owner.APIToken)
	if len(b.used) != 0 || lastUsed() != start {
		t.Error("noted again within a minute")
	}
	b.clock.add(time.Second)
	b.mustCaller(t, b.owner.APIToken)
	eventually(t, "use noted again", func() bool { return lastUsed() == start+60 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
