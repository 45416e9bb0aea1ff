package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// address is where the request came from: the peer, or behind trusted proxies
// the last address that none of them has.
func (f *front) address(r *http.Request) string {
	peer := hostOf(r.RemoteAddr)
	if !f.trusted(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		hop = strings.TrimSpace(hop)
		if _, err := netip.ParseAddr(hop); err != nil {
			return peer
		}
		if peer = hop; !f.trusted(hop) {
			return hop
		}
	}
	return peer
}

func (f *front) trusted(address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(f.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// allowedOrigin says whether a browser page of this origin may call.
func (f *front) allowedOrigin(origin string) bool {
	return slices.ContainsFunc(f.cfg.Origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) })
}

// cors answers the questions of a browser. Tokens of other origins travel in a
// header and no cookie of theirs is read, so credentials are not asked for.
func (f *front) cors(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin == "" || !f.allowedOrigin(origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Link, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate, "+
		"X-Config-Version, X-Data-Source, Content-Disposition, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id")
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "+
			"Last-Event-ID, X-Device-ID, X-Request-Id")
		h.Set("Access-Control-Max-Age", "600")
	}
}

// secure sets what every answer says to a browser.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
}
