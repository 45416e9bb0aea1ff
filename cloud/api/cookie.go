package api

import (
	"net/http"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/internal/fault"
)

// A browser's refresh token is kept where no script can read it: in a cookie
// that goes to the paths of authentication alone and never with a request that
// another site caused. Which operations take and give it the proto option
// session says.
const (
	refreshCookie = "ngfw_refresh"
	cookiePath    = "/api/auth"
)

// takeCookie completes a request with the refresh token of the cookie, where
// the body has none. Ports of one host are one site to a browser, so SameSite
// alone does not do: the page must be one of ours.
func (ex *exchange) takeCookie(m protoreflect.Message) *fault.Error {
	fields := m.Descriptor().Fields()
	if fd := fields.ByName("cookie"); fd != nil && m.Get(fd).Bool() {
		ex.cookie = true
		return ex.checkOrigin()
	}
	token := fields.ByName("refresh_token")
	if token == nil || m.Get(token).String() != "" {
		return nil
	}
	c, err := ex.request.Cookie(refreshCookie)
	if err != nil || c.Value == "" {
		return nil
	}
	ex.cookie = true
	m.Set(token, protoreflect.ValueOfString(strings.ToValidUTF8(c.Value, "")))
	if fd := fields.ByName("from_cookie"); fd != nil {
		m.Set(fd, protoreflect.ValueOfBool(true))
	}
	return ex.checkOrigin()
}

// checkOrigin refuses the cookie to pages of others.
func (ex *exchange) checkOrigin() *fault.Error {
	r := ex.request
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	listed := slices.ContainsFunc(ex.origins, func(o string) bool { return strings.EqualFold(o, origin) })
	if (site == "" || site == "same-origin" || site == "none" || listed) && (origin == "" || sameHost(r, origin) || listed) {
		return nil
	}
	return fault.New(fault.Forbidden, "pages of this origin may not use the session's cookie")
}

// keepCookie moves the refresh token of an answer into the cookie.
func (ex *exchange) keepCookie(reply proto.Message) {
	if !ex.cookie {
		return
	}
	m := reply.ProtoReflect()
	fd := m.Descriptor().Fields().ByName("refresh_token")
	if fd == nil { // the end of the session
		ex.setCookie = ex.newCookie("", -1)
		return
	}
	ex.setCookie = ex.newCookie(m.Get(fd).String(), int(ex.cookieLifetime.Seconds()))
	m.Clear(fd)
}

// dropCookie forgets a cookie that was refused.
func (ex *exchange) dropCookie(f *fault.Error) {
	if ex.cookie && f.Code == fault.Unauthorized {
		ex.setCookie = ex.newCookie("", -1)
	}
}

func (ex *exchange) newCookie(value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: refreshCookie, Value: value, Path: cookiePath, MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: ex.secure,
	}
}

// isSecure says whether the browser came by TLS, here or at a trusted proxy.
func (f *front) isSecure(r *http.Request) bool {
	return r.TLS != nil || f.trusted(hostOf(r.RemoteAddr)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
