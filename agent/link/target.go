package link

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// target is a parsed Config.Server.
type target struct {
	host      string
	port      uint16
	plaintext bool
	anywhere  bool // plaintext to any address
}

func (t target) String() string { return net.JoinHostPort(t.host, strconv.Itoa(int(t.port))) }

func parseTarget(server string, insecure bool) (target, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return target{}, fmt.Errorf("server %q is no URL: write grpcs://host:port", server)
	}
	t := target{host: u.Hostname(), anywhere: insecure}
	switch u.Scheme {
	case "grpcs":
	case "grpc":
		t.plaintext = true
	case "wss", "ws":
		return target{}, fmt.Errorf("server %q: the WebSocket carrier is not supported by this agent version, use grpcs://", server)
	default:
		return target{}, fmt.Errorf("server %q: unknown scheme %q, write grpcs://host:port", server, u.Scheme)
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return target{}, fmt.Errorf("server %q: only scheme, host and port are understood", server)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return target{}, fmt.Errorf("server %q: the port is missing or out of range, write %s://%s:9090", server, u.Scheme, u.Hostname())
	}
	t.port = uint16(port)
	if t.plaintext && !insecure {
		if a, err := netip.ParseAddr(t.host); t.host != "localhost" && (err != nil || !a.IsLoopback()) {
			return target{}, fmt.Errorf("server %q: without TLS only loopback is dialled: use grpcs://, or --insecure if you mean it", server)
		}
	}
	return t, nil
}

// permits is the same question for an address that the name turned out to have.
func (t target) permits(a netip.Addr) error {
	if t.plaintext && !t.anywhere && !a.IsLoopback() {
		return fmt.Errorf("%s is %s: without TLS only loopback is dialled", t.host, a)
	}
	return nil
}
