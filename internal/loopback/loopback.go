// Package loopback owns the question whether a host is this machine for sure:
// what may be served without protection or spoken to in plain text. It is
// pure; nothing is resolved.
package loopback

import "net/netip"

// Host says whether a host name or address (without brackets) is loopback. Of
// names only localhost is (RFC 6761 section 6.3); others may resolve to anything
// by the time they are used.
func Host(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
