package mime

import (
	"net/url"
	"strconv"
	"strings"
)

// parameter finds one of a header's: name=value, in quotes or not, or cut into
// name*0, name*1 and so on, or with a character set (RFC 2231).
func parameter(v, name string) string {
	whole, pieces := "", map[int]string{}
	for rest := v; ; {
		i := strings.IndexByte(rest, ';')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		key = strings.ToLower(strings.TrimSpace(key))
		if j := strings.LastIndexByte(key, ';'); j >= 0 {
			key = strings.TrimSpace(key[j+1:])
		}
		value, left := token(after)
		rest = left
		extended := strings.HasSuffix(key, "*")
		key = strings.TrimSuffix(key, "*")
		base, number, numbered := strings.Cut(key, "*")
		if base != name {
			continue
		}
		if extended {
			if _, text, ok := strings.Cut(value, "'"); ok {
				if _, text, ok := strings.Cut(text, "'"); ok {
					value = text
				}
			}
			if s, err := url.PathUnescape(value); err == nil {
				value = s
			}
		}
		if !numbered {
			if whole == "" {
				whole = value
			}
			continue
		}
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < 64 {
			pieces[n] = value
		}
	}
	if whole != "" || len(pieces) == 0 {
		return whole
	}
	var b strings.Builder
	for n := 0; ; n++ {
		s, ok := pieces[n]
		if !ok {
			return b.String()
		}
		b.WriteString(s)
	}
}

// token takes a value, in quotes or not, and gives what follows from the semicolon on.
func token(s string) (value, rest string) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ';')
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i+1 < len(s) {
				i++
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}
