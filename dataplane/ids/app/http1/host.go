package http1

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
)

// splitPort takes "name:port" apart; an address in brackets keeps its colons.
func splitPort(b []byte) (name, port []byte) {
	if len(b) > 0 && b[0] == '[' {
		if end := bytes.IndexByte(b, ']'); end >= 0 {
			if end+1 < len(b) && b[end+1] == ':' {
				return b[:end+1], b[end+2:]
			}
			return b[:end+1], nil
		}
		return b, nil
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// lower is bytes.ToLower, kept in a store.
func lower(s *tx.Store, b []byte) []byte {
	for _, c := range b {
		if c >= 0x80 {
			return bytes.ToLower(b)
		}
	}
	b = s.Keep(b)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func isPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return n > 0
}

// normalHost is a name in small letters, without the dot at its end.
func (t *Transaction) normalHost(b []byte) []byte {
	b = lower(&t.request.texts, bytes.TrimSpace(b))
	for len(b) > 0 && b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// validHost says whether a name has the characters and lengths of one, or is an address.
func validHost(b []byte) bool {
	if len(b) == 0 || len(b) > 255 {
		return false
	}
	if b[0] == '[' {
		if b[len(b)-1] != ']' {
			return false
		}
		for _, c := range b[1 : len(b)-1] {
			if _, ok := hex(c); !ok && c != ':' && c != '.' && c != '%' {
				return false
			}
		}
		return len(b) > 3
	}
	for label := range bytes.SplitSeq(bytes.TrimSuffix(b, []byte(".")), []byte(".")) {
		if len(label) == 0 || len(label) > 63 {
			return false
		}
		for _, c := range label {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// setHost takes the host from the target or the header, the target first.
func (t *Transaction) setHost() {
	m := &t.request
	f := m.find([]byte("host"))
	if f == nil {
		if m.version == 101 && t.rawHost == nil {
			t.Event("missing_host_header")
		}
		return
	}
	name, port := splitPort(f.value)
	valid := validHost(name) && (port == nil || isPort(port))
	if !valid {
		t.Event("request_header_host_invalid")
	}
	if t.host != nil {
		if !bytes.Equal(t.normalHost(name), t.host) {
			t.Event("host_header_ambiguous")
		}
		if t.rawHost == nil {
			t.rawHost = f.value
		}
		return
	}
	t.rawHost = f.value
	t.host = t.normalHost(name)
}

// checkAuthorization looks at whether a credential is of a kind that is known.
func (t *Transaction) checkAuthorization() {
	v := t.request.value("authorization")
	if v == nil {
		return
	}
	v = bytes.ToLower(bytes.TrimSpace(v))
	for _, known := range []string{"basic", "digest", "bearer"} {
		if bytes.HasPrefix(v, []byte(known)) {
			return
		}
	}
	t.Event("request_auth_unrecognized")
}
