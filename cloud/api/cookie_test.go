package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/api"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// browserAccount knows one refresh token after the other: r1, r2, …
type browserAccount struct {
	fakeAccount
	now    int
	cookie []bool
	ended  string
}

func (b *browserAccount) tokens() *ngfwv1.TokenResponse {
	b.now++
	return &ngfwv1.TokenResponse{AccessToken: "a", TokenType: "Bearer", ExpiresIn: 3600, RefreshToken: "r" + string(rune('0'+b.now))}
}

func (b *browserAccount) Login(ctx context.Context, r *ngfwv1.LoginRequest) (*ngfwv1.TokenResponse, error) {
	if _, err := b.fakeAccount.Login(ctx, r); err != nil {
		return nil, err
	}
	return b.tokens(), nil
}

func (b *browserAccount) Refresh(_ context.Context, r *ngfwv1.RefreshRequest) (*ngfwv1.TokenResponse, error) {
	b.cookie = append(b.cookie, r.GetFromCookie())
	switch r.GetRefreshToken() {
	case "r" + string(rune('0'+b.now)):
		return b.tokens(), nil
	case "":
		return nil, fault.Invalid("refresh_token", "is required")
	}
	return nil, fault.New(fault.Unauthorized, "refresh token expired, revoked or unknown")
}

func (b *browserAccount) Logout(_ context.Context, r *ngfwv1.LogoutRequest) (*emptypb.Empty, error) {
	b.ended = r.GetRefreshToken()
	return &emptypb.Empty{}, nil
}

func startBrowser(t *testing.T) (*running, *browserAccount) {
	b := &browserAccount{}
	return start(t, nil, func(d *api.Deps) { d.Services[0] = api.Account(b) }), b
}

func cookieOf(t *testing.T, a reply) *http.Cookie {
	t.Helper()
	list := (&http.Response{Header: a.header}).Cookies()
	if len(list) != 1 {
		t.Fatalf("%d cookies in %v", len(list), a.header)
	}
	return list[0]
}

func TestRefreshTokenInACookie(t *testing.T) {
	r, b := startBrowser(t)
	in := r.do("POST", "/api/auth/login", `{"email":"e","password":"right","cookie":true}`, "Authorization", "")
	c := cookieOf(t, in)
	if in.status != 200 || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/api/auth" || c.Value != "r1" || c.MaxAge < 3600 || c.Secure {
		t.Fatalf("%d %+v", in.status, c)
	}
	if strings.Contains(in.body, "r1") {
		t.Errorf("scripts can read the refresh token: %s", in.body)
	}
	r.contract().AssertMatches(t, "POST", "/api/auth/login", in.status, []byte(in.body))

	next := r.do("POST", "/api/auth/refresh", "{}", "Authorization", "", "Cookie", "ngfw_refresh=r1", "Origin", r.url, "Sec-Fetch-Site", "same-origin")
	if c := cookieOf(t, next); next.status != 200 || c.Value != "r2" || strings.Contains(next.body, "r2") {
		t.Fatalf("%d %s %+v", next.status, next.body, c)
	}
	// A body's token is the body's affair, whatever cookie is there.
	plain := r.do("POST", "/api/auth/refresh", `{"refresh_token":"r2","from_cookie":true}`, "Authorization", "", "Cookie", "ngfw_refresh=r1")
	if plain.status != 200 || plain.header.Get("Set-Cookie") != "" || !strings.Contains(plain.body, `"r3"`) {
		t.Fatalf("%d %s %v", plain.status, plain.body, plain.header)
	}
	if len(b.cookie) != 2 || !b.cookie[0] || b.cookie[1] {
		t.Errorf("the service was told %v of cookies", b.cookie)
	}
	// One that is no good any more is forgotten.
	bad := r.do("POST", "/api/auth/refresh", "{}", "Authorization", "", "Cookie", "ngfw_refresh=old")
	if c := cookieOf(t, bad); bad.status != 401 || c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("%d %+v", bad.status, c)
	}
	out := r.do("POST", "/api/auth/logout", "{}", "Authorization", "", "Cookie", "ngfw_refresh=r3")
	if c := cookieOf(t, out); out.status != 204 || c.MaxAge >= 0 || b.ended != "r3" {
		t.Errorf("%d %+v, ended %q", out.status, c, b.ended)
	}
	if none := r.do("POST", "/api/auth/refresh", "{}", "Authorization", ""); none.status != 400 || none.header.Get("Set-Cookie") != "" {
		t.Errorf("without any token: %d %s", none.status, none.body)
	}
	if strings.Contains(r.log.String(), "r1") && strings.Contains(r.log.String(), "ngfw_refresh") {
		t.Error("the log holds a refresh token")
	}
}

// Ports of one host share cookies and are one site: another page there must not
// use the session.
func TestCookieIsForOurPagesAlone(t *testing.T) {
	r, b := startBrowser(t)
	login := `{"email":"e","password":"right","cookie":true}`
	for name, header := range map[string][]string{
		"another port":      {"Origin", "http://127.0.0.1:1"},
		"another site":      {"Origin", "https://evil.example"},
		"no origin":         {"Origin", "null"},
		"said by a browser": {"Sec-Fetch-Site", "same-site"},
	} {
		header = append(header, "Authorization", "", "Cookie", "ngfw_refresh=r1")
		for path, body := range map[string]string{"/api/auth/login": login, "/api/auth/refresh": "{}", "/api/auth/logout": "{}"} {
			if a := r.do("POST", path, body, header...); a.status != 403 || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s to %s: %d %s %v", name, path, a.status, a.body, a.header)
			}
		}
	}
	if b.now != 0 || b.ended != "" || b.cookie != nil {
		t.Errorf("the service was asked: %+v", b)
	}
	// Where a proxy shows us under another name, the operator lists it.
	listed := r.do("POST", "/api/auth/login", login, "Authorization", "", "Origin", "https://console.example.org", "Sec-Fetch-Site", "same-origin")
	if listed.status != 200 {
		t.Errorf("a listed origin: %d %s", listed.status, listed.body)
	}
}

func TestCookieBehindTLSIsSecure(t *testing.T) {
	b := &browserAccount{}
	r := start(t, func(c *api.Config) { c.TrustedProxies = loopback }, func(d *api.Deps) { d.Services[0] = api.Account(b) })
	in := r.do("POST", "/api/auth/login", `{"email":"e","password":"right","cookie":true}`, "Authorization", "", "X-Forwarded-Proto", "https")
	if !cookieOf(t, in).Secure {
		t.Error("the cookie may go without TLS")
	}
	other := start(t, nil, func(d *api.Deps) { d.Services[0] = api.Account(&browserAccount{}) })
	in = other.do("POST", "/api/auth/login", `{"email":"e","password":"right","cookie":true}`, "Authorization", "", "X-Forwarded-Proto", "https")
	if cookieOf(t, in).Secure {
		t.Error("a stranger's header was believed")
	}
}
