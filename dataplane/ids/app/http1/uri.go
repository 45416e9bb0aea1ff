package http1

import (
	"bytes"
)

// setURI takes the request's target apart and normalises it: percent signs and
// %u once, backslashes and runs of slashes to one slash, dot segments away; the
// query is decoded, the fragment left out (manual, section "HTTP Keywords").
func (t *Transaction) setURI(p *Parser, raw []byte) {
	t.rawURI = t.request.texts.Keep(raw)
	if string(t.method) == "CONNECT" {
		t.uri = t.rawURI
		if len(raw) > 0 && raw[0] == '/' {
			return // no authority, as it should be
		}
		if name, _ := splitPort(t.rawURI); validHost(name) {
			t.host = t.normalHost(name)
		}
		return
	}
	b := raw
	if len(b) > 0 && b[0] != '/' {
		if colon := bytes.IndexByte(b, ':'); colon >= 0 {
			b = b[colon+1:]
			if len(b) > 2 && b[0] == '/' && b[1] == '/' && b[2] != '/' {
				b = b[2:]
				end := bytes.IndexAny(b, "?/#")
				if end < 0 {
					end = len(b)
				}
				authority := b[:end]
				b = b[end:]
				if i := bytes.LastIndexByte(authority, '@'); i >= 0 {
					authority = authority[i+1:]
				}
				name, port := splitPort(authority)
				if port != nil && !isPort(port) {
					t.Event("request_uri_host_invalid")
				}
				t.rawHost = t.request.texts.Keep(name)
				t.host = t.normalHost(name)
			}
		}
	}
	path, query, hasQuery := b, []byte(nil), false
	if i := bytes.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path, query, hasQuery = path[:i], path[i+1:], true
	}
	t.path = decode(t.request.texts.Keep(path), true)
	if p.limits.DoubleDecodePath {
		if again := decode(bytes.Clone(t.path), true); !bytes.Equal(again, t.path) {
			t.Event("double_encoded_uri")
			t.path = again
		}
	}
	t.path = withoutDots(t.path)
	t.uri = t.path
	if hasQuery {
		q := decode(t.request.texts.Keep(query), false)
		if p.limits.DoubleDecodeQuery {
			if again := decode(bytes.Clone(q), false); !bytes.Equal(again, q) {
				t.Event("double_encoded_uri")
				q = again
			}
		}
		t.uri = append(append(append(t.request.texts.Make(len(t.path) + 1 + len(q))[:0], t.path...), '?'), q...)
	}
}

// decode undoes percent signs in place. In a path, separators are made one too.
func decode(b []byte, path bool) []byte {
	out := b[:0]
	slash := false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' {
			if h, ok := hexPair(b[i+1:]); ok {
				c = h
				i += 2
			} else if len(b) > i+5 && (b[i+1] == 'u' || b[i+1] == 'U') {
				high, ok1 := hexPair(b[i+2:])
				low, ok2 := hexPair(b[i+4:])
				if ok1 && ok2 {
					i += 5
					switch {
					case high == 0:
						c = low
					case high == 0xff && low < 0x5f: // full-width forms of ASCII
						c = low + 0x20
					default:
						c = '?'
					}
				}
			}
		}
		if path {
			// Two bytes for one of ASCII are never written by who means well.
			if (c == 0xc0 || c == 0xc1) && i+1 < len(b) {
				next, skip := b[i+1], 1
				if next == '%' {
					if h, ok := hexPair(b[i+2:]); ok {
						next, skip = h, 3
					}
				}
				if next&0xc0 == 0x80 {
					c = c&3<<6 | next&0x3f
					i += skip
				}
			}
			if c == '\\' {
				c = '/'
			}
			if c == '/' && slash {
				continue
			}
			slash = c == '/'
		}
		out = append(out, c)
	}
	return out
}

func hexPair(b []byte) (byte, bool) {
	if len(b) < 2 {
		return 0, false
	}
	h, ok1 := hex(b[0])
	l, ok2 := hex(b[1])
	return h<<4 | l, ok1 && ok2
}

// withoutDots removes dot segments (RFC 3986 section 5.2.4).
func withoutDots(in []byte) []byte {
	if !bytes.Contains(in, []byte("/.")) && !bytes.HasPrefix(in, []byte(".")) {
		return in
	}
	out := make([]byte, 0, len(in))
	for len(in) > 0 {
		switch {
		case bytes.HasPrefix(in, []byte("../")):
			in = in[3:]
		case bytes.HasPrefix(in, []byte("./")):
			in = in[2:]
		case bytes.HasPrefix(in, []byte("/./")):
			in = in[2:]
		case string(in) == "/.":
			in = []byte("/")
		case bytes.HasPrefix(in, []byte("/../")), string(in) == "/..":
			if len(in) == 3 {
				in = []byte("/")
			} else {
				in = in[3:]
			}
			out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
		case string(in) == ".", string(in) == "..":
			in = nil
		default:
			n := 1
			for n < len(in) && in[n] != '/' {
				n++
			}
			out = append(out, in[:n]...)
			in = in[n:]
		}
	}
	return out
}
