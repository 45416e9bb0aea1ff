package rule

import "strings"

const maxTransforms = 16

// Transform turns the bytes of a buffer into others before anything is matched.
type Transform struct {
	Name string
	// Option is the key of xor, in hexadecimal, and the expression of
	// pcrexform, whose first group is the result.
	Option string
	// Base64 is what from_base64 decodes.
	Base64 Base64
	// MaxSize bounds what gunzip and zlib_deflate put out.
	MaxSize uint32
}

// Base64 says where encoded data begins and how it is read.
type Base64 struct {
	Bytes  uint32 // how many encoded bytes; 0: all there are
	Offset uint32
	Mode   Base64Mode
}

// Base64Mode says which bytes may be among the encoded ones.
type Base64Mode uint8

const (
	RFC4648 Base64Mode = iota // stops at what is not of the alphabet
	RFC2045                   // skips it
	Strict                    // fails at it
)

var base64Modes = []string{"rfc4648", "rfc2045", "strict"}

const defaultInflated = 1024

// transforms without an option.
var plainTransforms = []string{
	"dotprefix", "domain", "tld", "strip_whitespace", "compress_whitespace", "to_lowercase", "to_uppercase", "to_md5", "to_sha1",
	"to_sha256", "url_decode", "header_lowercase", "strip_pseudo_headers",
}

func parsePlainTransform(p *parser, o *option) error {
	return p.transform(o, Transform{Name: o.keyword.name})
}

func parseXor(p *parser, o *option) error {
	key, ok := unquote(o.value)
	if !ok {
		return faultf(o.valueAt, "the key of xor is not in quotes")
	}
	if len(key) == 0 || len(key)%2 != 0 || len(key) > 512 {
		return faultf(o.valueAt, "the key of xor is 1 to 256 bytes in hexadecimal")
	}
	for i := range len(key) {
		if _, ok := hexDigit(key[i]); !ok {
			return faultf(o.valueAt, "%q in the key of xor is not hexadecimal", key[i])
		}
	}
	return p.transform(o, Transform{Name: "xor", Option: strings.ToLower(key)})
}

func parsePCRETransform(p *parser, o *option) error {
	if len(o.value) < 3 || o.value[0] != '"' || o.value[len(o.value)-1] != '"' {
		return faultf(o.valueAt, "the expression of pcrexform is not in quotes")
	}
	expression := o.value[1 : len(o.value)-1]
	groups, err := checkExpression(expression, o.valueAt+1, false)
	if err != nil {
		return err
	}
	if groups == 0 {
		return faultf(o.valueAt, "the expression of pcrexform captures nothing: it needs a group")
	}
	return p.transform(o, Transform{Name: "pcrexform", Option: expression})
}

func parseFromBase64(p *parser, o *option) error {
	t := Transform{Name: "from_base64"}
	seen := map[string]bool{}
	for rest, more := o.value, o.value != ""; more; {
		var item string
		item, rest, more = part(rest)
		key, value := word(item)
		if seen[key] {
			return faultf(o.valueAt, "%s is given twice", key)
		}
		seen[key] = true
		switch key {
		case "bytes", "offset":
			v, ok := number(value)
			if !ok || v > 65535 || key == "bytes" && v == 0 {
				return faultf(o.valueAt, "%q is no count of bytes up to 65535", value)
			}
			if key == "bytes" {
				t.Base64.Bytes = uint32(v)
			} else {
				t.Base64.Offset = uint32(v)
			}
		case "mode":
			mode, ok := indexOf(base64Modes, strings.ToLower(value))
			if !ok {
				return faultf(o.valueAt, "mode is rfc4648, rfc2045 or strict, not %q", value)
			}
			t.Base64.Mode = Base64Mode(mode)
		default:
			return faultf(o.valueAt, "from_base64 has no option %q: it has bytes, offset and mode", key)
		}
	}
	return p.transform(o, t)
}

func parseInflate(p *parser, o *option) error {
	t := Transform{Name: o.keyword.name, MaxSize: defaultInflated}
	if o.value != "" {
		key, value := word(o.value)
		v, ok := size(value)
		if key != "max-size" || !ok || v == 0 || v > 1<<20 {
			return faultf(o.valueAt, "%s has the option max-size alone, up to 1 MB", o.keyword.name)
		}
		t.MaxSize = uint32(v)
	}
	return p.transform(o, t)
}

func (t *Transform) print(b []byte) []byte {
	b = append(b, t.Name...)
	switch t.Name {
	case "xor":
		b = quote(append(b, ':'), t.Option)
	case "pcrexform":
		b = append(append(append(b, `:"`...), t.Option...), '"')
	case "from_base64":
		b = append(b, ':')
		if t.Base64.Bytes > 0 {
			b = append(appendUint(append(b, "bytes "...), uint64(t.Base64.Bytes)), ", "...)
		}
		b = appendUint(append(b, "offset "...), uint64(t.Base64.Offset))
		b = append(append(b, ", mode "...), base64Modes[t.Base64.Mode]...)
	case "gunzip", "zlib_deflate":
		b = appendUint(append(b, ":max-size "...), uint64(t.MaxSize))
	}
	return append(b, ';', ' ')
}

func indexOf(names []string, name string) (int, bool) {
	for i, n := range names {
		if n == name {
			return i, true
		}
	}
	return 0, false
}
