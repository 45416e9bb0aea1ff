package detect

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// transform appends to to what becomes of from. It may give from itself, or a
// part of it, instead; ok is false where nothing becomes of it.
type transform func(w *Worker, to, from []byte) (out []byte, ok bool)

func newTransform(t *rule.Transform) (transform, error) {
	if f, ok := plainTransforms[t.Name]; ok {
		return f, nil
	}
	switch t.Name {
	case "xor":
		key, err := hex.DecodeString(t.Option)
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("xor: %q is no key", t.Option)
		}
		return func(_ *Worker, to, from []byte) ([]byte, bool) {
			for i, c := range from {
				to = append(to, c^key[i%len(key)])
			}
			return to, true
		}, nil
	case "pcrexform":
		re, err := regex.Compile(t.Option, 0)
		if err != nil {
			return nil, fmt.Errorf("pcrexform: %w", err)
		}
		return func(w *Worker, to, from []byte) ([]byte, bool) {
			w.matcher.NoLimits = false
			if !w.matcher.Match(re, from, 0) {
				return from, true // as it was: there is nothing to take out
			}
			a, b := w.matcher.Group(1)
			if a < 0 {
				return from, true
			}
			return from[a:b], true
		}, nil
	case "from_base64":
		o := t.Base64
		return func(_ *Worker, to, from []byte) ([]byte, bool) {
			part := from
			if int(o.Offset) > len(part) {
				return from, true
			}
			part = part[o.Offset:]
			if o.Bytes > 0 && int(o.Bytes) < len(part) {
				part = part[:o.Bytes]
			}
			out, ok := decodeBase64(to, part, o.Mode)
			if !ok || len(out) == 0 {
				return from, true
			}
			return out, true
		}, nil
	case "gunzip", "zlib_deflate":
		limit, isGzip := int64(t.MaxSize), t.Name == "gunzip"
		return func(_ *Worker, to, from []byte) ([]byte, bool) {
			var r io.Reader
			var err error
			if isGzip {
				r, err = gzip.NewReader(bytes.NewReader(from))
			} else {
				r, err = zlib.NewReader(bytes.NewReader(from))
			}
			if err != nil {
				return from, true
			}
			buf := bytes.NewBuffer(to)
			// What came before the data breaks off is worth looking at.
			n, _ := io.Copy(buf, io.LimitReader(r, limit))
			return buf.Bytes(), n > 0
		}, nil
	}
	return nil, notSupported("transform " + t.Name)
}

var plainTransforms = map[string]transform{
	"dotprefix": func(_ *Worker, to, from []byte) ([]byte, bool) {
		return append(append(to, '.'), from...), true
	},
	"domain": func(_ *Worker, _, from []byte) ([]byte, bool) {
		tld := publicSuffix(from)
		if tld == 0 {
			return from, true
		}
		if i := bytes.LastIndexByte(from[:tld-1], '.'); i >= 0 {
			return from[i+1:], true
		}
		return from, true
	},
	"tld": func(_ *Worker, _, from []byte) ([]byte, bool) {
		if tld := publicSuffix(from); tld > 0 {
			return from[tld:], true
		}
		return from, true
	},
	"strip_whitespace": func(_ *Worker, to, from []byte) ([]byte, bool) {
		for _, c := range from {
			if !isSpace(c) {
				to = append(to, c)
			}
		}
		return to, true
	},
	"compress_whitespace": func(_ *Worker, to, from []byte) ([]byte, bool) {
		for i, c := range from {
			if !isSpace(c) || i == 0 || !isSpace(from[i-1]) {
				to = append(to, c)
			}
		}
		return to, true
	},
	"to_lowercase": func(_ *Worker, to, from []byte) ([]byte, bool) {
		for _, c := range from {
			to = append(to, regex.Fold(c))
		}
		return to, true
	},
	"to_uppercase": func(_ *Worker, to, from []byte) ([]byte, bool) {
		for _, c := range from {
			if c >= 'a' && c <= 'z' {
				c -= 32
			}
			to = append(to, c)
		}
		return to, true
	},
	"to_md5": func(_ *Worker, to, from []byte) ([]byte, bool) {
		sum := md5.Sum(from)
		return append(to, sum[:]...), true
	},
	"to_sha1": func(_ *Worker, to, from []byte) ([]byte, bool) {
		sum := sha1.Sum(from)
		return append(to, sum[:]...), true
	},
	"to_sha256": func(_ *Worker, to, from []byte) ([]byte, bool) {
		sum := sha256.Sum256(from)
		return append(to, sum[:]...), true
	},
	"url_decode":           func(_ *Worker, to, from []byte) ([]byte, bool) { return urlDecode(to, from), true },
	"header_lowercase":     func(_ *Worker, to, from []byte) ([]byte, bool) { return headerLowercase(to, from), true },
	"strip_pseudo_headers": func(_ *Worker, to, from []byte) ([]byte, bool) { return stripPseudoHeaders(to, from), true },
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func urlDecode(to, from []byte) []byte {
	for i := 0; i < len(from); i++ {
		c := from[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(from):
			if h, l := hexValue(from[i+1]), hexValue(from[i+2]); h < 16 && l < 16 {
				c = h<<4 | l
				i += 2
			}
		}
		to = append(to, c)
	}
	return to
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|32 >= 'a' && c|32 <= 'f':
		return (c | 32) - 'a' + 10
	}
	return 16
}

// headerLowercase turns the names of headers to lower case, as HTTP/2 has them.
func headerLowercase(to, from []byte) []byte {
	name := true
	for _, c := range from {
		switch {
		case c == ':':
			name = false
		case c == '\n':
			name = true
		}
		if name {
			c = regex.Fold(c)
		}
		to = append(to, c)
	}
	return to
}

// stripPseudoHeaders leaves lines out that begin with a colon, as HTTP/2 has them.
func stripPseudoHeaders(to, from []byte) []byte {
	for len(from) > 0 {
		n := bytes.IndexByte(from, '\n') + 1
		if n == 0 {
			n = len(from)
		}
		if from[0] != ':' {
			to = append(to, from[:n]...)
		}
		from = from[n:]
	}
	return to
}

// publicSuffix is where the suffix of a name begins under which names are registered, 0
// if there is none. It knows of suffixes of two labels the common ones.
func publicSuffix(name []byte) int {
	i := bytes.LastIndexByte(name, '.')
	if i <= 0 {
		return 0
	}
	if j := bytes.LastIndexByte(name[:i], '.'); len(name)-i-1 == 2 && j > 0 {
		switch string(bytes.ToLower(name[j+1 : i])) {
		case "co", "com", "net", "org", "gov", "edu", "ac", "mil", "or", "ne", "go", "gob", "nom", "ltd", "plc", "me", "sch", "nhs", "police":
			return j + 1
		}
	}
	return i + 1
}
