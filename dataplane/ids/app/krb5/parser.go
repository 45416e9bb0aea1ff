// Package krb5 owns Kerberos 5 (RFC 4120) over UDP and TCP. A request, its answer and an error are a
// transaction each.
package krb5

import (
	"encoding/binary"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Types of messages (RFC 4120 section 7.5.7).
const (
	asRequest     = 10
	asReply       = 11
	ticketRequest = 12
	ticketReply   = 13
	errorMessage  = 30

	maxMessage = 1 << 20
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{"krb5_cname", "krb5_sname"}, Keywords: []string{"krb5_msg_type", "krb5_err_code", "krb5.ticket_encryption"}}
}

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	stream  bool
	pending [2]tx.Pending
}

// New makes a parser.
func New(stream bool, limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("krb5"), Limits: limits.Filled()}, stream: stream}
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if !p.stream {
		p.message(dir, data)
		return
	}
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= 4 {
		n := int(binary.BigEndian.Uint32(b))
		if n > maxMessage || n < 0 {
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if len(b) < 4+n {
			break
		}
		p.message(dir, b[4:4+n])
		b = b[4+n:]
	}
	p.pending[dir].Keep(b)
}

// fields walks a sequence of tagged fields.
func fields(b []byte, visit func(number byte, content []byte)) {
	seq, _, ok := tx.DER(b, 0x30)
	for ok && len(seq) > 0 {
		var tag byte
		var content []byte
		if tag, content, seq, ok = tx.DERAny(seq); ok && tag&0xe0 == 0xa0 {
			visit(tag&31, content)
		}
	}
}

func integer(b []byte) int64 {
	v, _, ok := tx.DER(b, 2)
	if !ok || len(v) == 0 {
		return 0
	}
	n := int64(int8(v[0]))
	for _, c := range v[1:] {
		n = n<<8 | int64(c)
	}
	return n
}

// names are the components of a principal.
func names(b []byte) (all [][]byte) {
	fields(b, func(number byte, content []byte) {
		if number != 1 {
			return
		}
		list, _, ok := tx.DER(content, 0x30)
		for ok && len(list) > 0 {
			var part []byte
			if part, list, ok = tx.DER(list, 0x1b); ok {
				all = append(all, part)
			}
		}
	})
	return all
}

func (p *Parser) message(dir tx.Direction, b []byte) {
	tag, body, _, ok := tx.DERAny(b)
	if !ok || tag&0xe0 != 0x60 {
		return
	}
	t := p.Message("krb5")
	t.Side(dir)
	kind := tag & 31
	t.Number(dir, "krb5_msg_type", uint64(kind))
	t.Field("msg_type", kind)
	put := func(which string, b []byte) {
		var text []string
		for _, part := range names(b) {
			if dir == tx.ToClient { // rules see the names that the server grants
				t.Put(dir, which, part)
			}
			text = append(text, string(part))
		}
		t.Field(strings.TrimPrefix(which, "krb5_"), strings.Join(text, "/"))
	}
	cipher, hasCipher := int64(0), false
	switch kind {
	case asRequest, ticketRequest:
		fields(body, func(number byte, content []byte) {
			if number != 4 {
				return
			}
			fields(content, func(number byte, content []byte) {
				switch number {
				case 1:
					put("krb5_cname", content)
				case 3:
					put("krb5_sname", content)
				}
			})
		})
	case asReply, ticketReply:
		fields(body, func(number byte, content []byte) {
			switch number {
			case 4:
				put("krb5_cname", content)
			case 5: // the ticket
				ticket, _, _ := tx.DER(content, 0x61)
				fields(ticket, func(number byte, content []byte) {
					switch number {
					case 2:
						put("krb5_sname", content)
					case 3:
						fields(content, func(number byte, content []byte) {
							if number == 0 {
								cipher, hasCipher = integer(content), true
							}
						})
					}
				})
			}
		})
	case errorMessage:
		fields(body, func(number byte, content []byte) {
			switch number {
			case 6:
				code := integer(content)
				t.Number(dir, "krb5_err_code", uint64(uint32(code)))
				t.Field("error_code", code)
			case 8:
				put("krb5_cname", content)
			case 10:
				put("krb5_sname", content)
			}
		})
	}
	t.Match = func(keyword string, args []string, of tx.Direction) (bool, bool) {
		if keyword != "krb5.ticket_encryption" {
			return false, false
		}
		return hasCipher && of == dir && encryption(args, cipher), true
	}
}

// ciphers are the names of encryption types (IANA, Kerberos parameters).
var ciphers = map[string]int64{
	"des-cbc-crc": 1, "des-cbc-md4": 2, "des-cbc-md5": 3, "des3-cbc-md5": 5, "des3-cbc-sha1": 7, "dsawithsha1-cmsoid": 9,
	"md5withrsaencryption-cmsoid": 10, "sha1withrsaencryption-cmsoid": 11, "rc2cbc-envoid": 12, "rsaencryption-envoid": 13,
	"rsaes-oaep-env-oid": 14, "des-ede3-cbc-env-oid": 15, "des3-cbc-sha1-kd": 16, "aes128-cts-hmac-sha1-96": 17,
	"aes256-cts-hmac-sha1-96": 18, "aes128-cts-hmac-sha256-128": 19, "aes256-cts-hmac-sha384-192": 20, "rc4-hmac": 23,
	"rc4-hmac-exp": 24, "camellia128-cts-cmac": 25, "camellia256-cts-cmac": 26, "subkey-keymaterial": 65,
}

// strong are the types that are not weak today.
func strong(v int64) bool { return v == 17 || v == 18 || v == 19 || v == 20 || v == 25 || v == 26 }

func encryption(args []string, v int64) bool {
	for _, arg := range args {
		name, not := strings.CutPrefix(strings.ToLower(arg), "!")
		var hit bool
		switch name {
		case "weak":
			hit = !strong(v)
		case "strong":
			hit = strong(v)
		default:
			want, known := ciphers[name]
			if !known {
				n, err := strconv.ParseInt(name, 10, 32)
				if err != nil {
					continue
				}
				want = n
			}
			hit = want == v
		}
		if hit != not {
			return true
		}
	}
	return false
}
