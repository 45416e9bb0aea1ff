package settings

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"ngfw.sh/internal/loopback"
)

// Server is where the cloud takes agents.
type Server struct {
	WebSocket bool   // the other carrier is the gRPC stream
	TLS       bool   //
	Host      string // name or address, without brackets
	Port      string //
	Path      string // of the WebSocket carrier
}

// Address is host:port to dial.
func (s Server) Address() string { return net.JoinHostPort(s.Host, s.Port) }

// AgentPath is where the cloud serves the WebSocket carrier.
const AgentPath = "/agent/ws"

// ParseServer reads grpcs://host:port or wss://host[:port][/path]. The plaintext
// forms grpc:// and ws:// are for loopback, elsewhere only if insecure.
func ParseServer(raw string, insecure bool) (Server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the text, in which there may be a password
		}
		return Server{}, fmt.Errorf("not a URL: %w", err)
	}
	s := Server{Host: u.Hostname(), Port: u.Port()}
	switch u.Scheme {
	case "grpcs":
		s.TLS = true
	case "wss":
		s.TLS, s.WebSocket = true, true
	case "grpc":
	case "ws":
		s.WebSocket = true
	case "https", "http":
		return Server{}, fmt.Errorf("the agent speaks grpcs://host:port or wss://host, not %s://", u.Scheme)
	default:
		return Server{}, fmt.Errorf("write grpcs://host:port or wss://host")
	}
	switch {
	case u.User != nil:
		return Server{}, errors.New("a user or password has no place in the URL: the device key authenticates")
	case s.Host == "":
		return Server{}, errors.New("the host is missing")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Server{}, errors.New("a query or fragment has no place in the URL")
	case !s.WebSocket && u.Path != "" && u.Path != "/":
		return Server{}, fmt.Errorf("the path %q has no place in a gRPC URL", u.Path)
	case !s.WebSocket && s.Port == "":
		return Server{}, errors.New("the port is missing, as in grpcs://" + hostInURL(s.Host) + ":9090")
	}
	if s.WebSocket {
		s.Path = u.EscapedPath()
		if s.Path == "" || s.Path == "/" {
			s.Path = AgentPath
		}
		if s.Port == "" {
			s.Port = map[bool]string{true: "443", false: "80"}[s.TLS]
		}
	}
	if n, err := strconv.ParseUint(s.Port, 10, 16); err != nil || n == 0 {
		return Server{}, fmt.Errorf("the port %q is not from 1 to 65535", s.Port)
	}
	if !s.TLS && !insecure && !s.Loopback() {
		return Server{}, fmt.Errorf("%s:// sends the key in plain text to %s: use %ss://, or allow it by name (insecure)", u.Scheme, s.Host, u.Scheme)
	}
	return s, nil
}

// Loopback says whether the server is on this machine for sure.
func (s Server) Loopback() bool { return loopback.Host(s.Host) }

func hostInURL(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		return "[" + host + "]"
	}
	return host
}

// LoadCA reads the certificates that a server's must descend from.
func LoadCA(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return pool, nil
}
