package tls

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ngfw.sh/dataplane/ids/app/hello"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// stage is how far a side's handshake is.
type stage uint8

const (
	helloSeen stage = iota + 1
	certificatesSeen
	settled
)

const (
	stateClientHello = 1 << iota
	stateServerHello
	stateClientKey
	stateServerKey
)

// Transaction is a handshake.
type Transaction struct {
	tx.Common
	client        *hello.Client
	server        *hello.Server
	certs         [2][]*certificate
	stage         [2]stage
	recordVersion [2]uint16
	states        uint8
	heard         [2]bool
	fingerprints  [fingerprints][]byte
	made          [fingerprints]bool

	// What the handshake is kept in, for the next one, too.
	texts       tx.Store
	clientRoom  hello.Client
	serverRoom  hello.Server
	certificate []*certificate // those in use first
	inUse       int
}

// The fingerprints that are made of hellos, each once.
const (
	ja3Text = iota
	ja3Hash
	ja4Hash
	ja3sText
	ja3sHash
	fingerprints
)

// keptFingerprint is how much memory of a fingerprint is kept, keptCertificates of
// how many certificates.
const (
	keptFingerprint  = 1 << 10
	keptCertificates = 8
)

// renew makes it a new transaction that uses what it was kept in.
func (t *Transaction) renew() {
	t.Common.Renew()
	old := *t
	*t = Transaction{Common: old.Common, texts: old.texts, clientRoom: old.clientRoom, serverRoom: old.serverRoom}
	t.texts.Reset()
	if n := min(len(old.certificate), keptCertificates); n > 0 {
		t.certificate = old.certificate[:n:n]
	}
	for i, b := range old.fingerprints {
		if cap(b) <= keptFingerprint {
			t.fingerprints[i] = b[:0]
		}
	}
	for dir := range old.certs {
		clear(old.certs[dir])
		t.certs[dir] = old.certs[dir][:0]
	}
}

// newCertificate is an empty one.
func (t *Transaction) newCertificate() *certificate {
	if t.inUse == len(t.certificate) {
		t.certificate = append(t.certificate, &certificate{})
	}
	c := t.certificate[t.inUse]
	t.inUse++
	*c = certificate{names: c.names[:0]}
	return c
}

func (t *Transaction) progress(dir tx.Direction, s stage) { t.stage[dir] = max(t.stage[dir], s) }

// certificates reads a chain (RFC 5246 section 7.4.2). What is broken ends it.
func (t *Transaction) certificates(dir tx.Direction, b []byte) bool {
	if len(t.certs[dir]) > 0 {
		return true
	}
	whole := len(b) >= 3
	if whole {
		n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		b = b[3:]
		whole = n <= len(b)
		b = b[:min(n, len(b))]
	}
	for len(b) >= 3 && len(t.certs[dir]) < 64 {
		n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if b = b[3:]; n > len(b) {
			t.Event("certificate_invalid_length")
			whole = false
			n = len(b)
		}
		if n == 0 {
			continue
		}
		c := t.newCertificate()
		if err := c.parse(b[:n], &t.texts); err != nil {
			t.Event(err.Error())
			whole = false
		}
		t.certs[dir] = append(t.certs[dir], c)
		b = b[n:]
	}
	t.progress(dir, certificatesSeen)
	return whole
}

// kinds says at which stage each buffer is there.
var kinds = map[string]stage{
	"tls.sni": helloSeen, "tls.random": helloSeen, "tls.random_time": helloSeen, "tls.random_bytes": helloSeen, "tls.alpn": helloSeen,
	"ja3.hash": helloSeen, "ja3.string": helloSeen, "ja3s.hash": helloSeen, "ja3s.string": helloSeen, "ja4.hash": helloSeen,
	"tls.certs": certificatesSeen, "tls.cert_subject": certificatesSeen, "tls.cert_issuer": certificatesSeen,
	"tls.cert_serial": certificatesSeen, "tls.cert_fingerprint": certificatesSeen, "tls.subjectaltname": certificatesSeen,
}

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"tls.hdr", "tls.pdu", "tls.data", "tls.alert"}, Kinds: slices.Sorted(maps.Keys(kinds)), Keywords: []string{"tls.cert_chain_len", "tls.version", "ssl_version", "ssl_state", "app-layer-state", "tls_cert_notbefore", "tls_cert_notafter", "tls_cert_expired", "tls_cert_valid"}}
}

// Settled says whether a kind's buffers will not change.
func (t *Transaction) Settled(kind *rule.BufferKind, dir tx.Direction) bool {
	return t.Ended[dir] || t.stage[dir] >= kinds[kind.Name]
}

// Buffers appends the buffers of a kind.
func (t *Transaction) Buffers(kind *rule.BufferKind, dir tx.Direction, to []tx.Buffer) []tx.Buffer {
	add := func(b []byte) []tx.Buffer {
		if len(b) == 0 {
			return to
		}
		return append(to, tx.Buffer{Data: b, Whole: true})
	}
	switch kind.Name {
	case "tls.random", "tls.random_time", "tls.random_bytes":
		random := t.random(dir)
		if len(random) < 32 {
			return to
		}
		switch kind.Name {
		case "tls.random_time":
			return add(random[:4])
		case "tls.random_bytes":
			return add(random[4:])
		}
		return add(random)
	case "tls.certs", "tls.subjectaltname", "tls.cert_subject", "tls.cert_issuer", "tls.cert_serial", "tls.cert_fingerprint":
		return t.certificateBuffers(kind.Name, dir, to)
	}
	if dir == tx.ToServer && t.client != nil {
		switch kind.Name {
		case "tls.sni":
			return add(t.client.SNI)
		case "tls.alpn":
			for _, name := range t.client.ALPN {
				to = append(to, tx.Buffer{Data: name, Whole: true})
			}
		case "ja3.string", "ja3.hash", "ja4.hash":
			return add(t.make(fingerprintOf[kind.Name]))
		}
	}
	if dir == tx.ToClient && t.server != nil {
		switch kind.Name {
		case "tls.alpn":
			return add(t.server.ALPN)
		case "ja3s.string", "ja3s.hash":
			return add(t.make(fingerprintOf[kind.Name]))
		}
	}
	return to
}

var fingerprintOf = map[string]int{"ja3.string": ja3Text, "ja3.hash": ja3Hash, "ja4.hash": ja4Hash, "ja3s.string": ja3sText, "ja3s.hash": ja3sHash}

func (t *Transaction) random(dir tx.Direction) []byte {
	switch {
	case dir == tx.ToServer && t.client != nil:
		return t.client.Random
	case dir == tx.ToClient && t.server != nil:
		return t.server.Random
	}
	return nil
}

// certificateBuffers appends those of the chain: certs has one for each, the others are the leaf's.
func (t *Transaction) certificateBuffers(kind string, dir tx.Direction, to []tx.Buffer) []tx.Buffer {
	for i, c := range t.certs[dir] {
		var b []byte
		switch kind {
		case "tls.certs":
			b = c.der
		case "tls.cert_subject":
			b = c.subject
		case "tls.cert_issuer":
			b = c.issuer
		case "tls.cert_serial":
			b = c.serial
		case "tls.cert_fingerprint":
			b = c.fingerprint
		case "tls.subjectaltname":
			for _, name := range c.names {
				to = append(to, tx.Buffer{Data: name, Whole: true})
			}
		}
		if i > 0 && kind != "tls.certs" {
			break
		}
		if len(b) > 0 {
			to = append(to, tx.Buffer{Data: b, Whole: true})
		}
		if kind != "tls.certs" {
			break
		}
	}
	return to
}

// make makes a fingerprint once.
func (t *Transaction) make(kind int) []byte {
	if t.made[kind] {
		return t.fingerprints[kind]
	}
	b := t.fingerprints[kind][:0]
	switch kind {
	case ja3Text:
		b = t.client.JA3(b)
	case ja3Hash:
		b = hello.MD5(b, t.make(ja3Text))
	case ja4Hash:
		b = append(b, t.client.JA4(false)...)
	case ja3sText:
		b = t.server.JA3S(b)
	case ja3sHash:
		b = hello.MD5(b, t.make(ja3sText))
	}
	t.fingerprints[kind], t.made[kind] = b, true
	return b
}

// version is the one spoken: the server's choice, before it the client's offer.
func (t *Transaction) version(dir tx.Direction) uint16 {
	switch {
	case t.server != nil && t.server.Selected != 0:
		return t.server.Selected
	case t.server != nil && (dir == tx.ToClient || t.client == nil):
		return t.server.Version
	case t.server != nil:
		return t.server.Version
	case t.client != nil:
		return t.client.Version
	}
	return t.recordVersion[dir]
}

// Numbers appends those of tls.cert_chain_len, of the versions, and the
// certificate's dates in seconds since 1970.
func (t *Transaction) Numbers(keyword string, dir tx.Direction, to []uint64) []uint64 {
	switch keyword {
	case "tls.cert_chain_len":
		if t.stage[dir] >= certificatesSeen {
			return append(to, uint64(len(t.certs[dir])))
		}
	case "tls.version", "ssl_version":
		if v := t.version(dir); v != 0 {
			return append(to, uint64(v))
		}
	case "tls_cert_notbefore", "tls_cert_notafter":
		if len(t.certs[dir]) > 0 && t.certs[dir][0].hasDates {
			if keyword == "tls_cert_notbefore" {
				return append(to, uint64(t.certs[dir][0].notBefore))
			}
			return append(to, uint64(t.certs[dir][0].notAfter))
		}
	}
	return to
}

var versions = map[string]uint16{
	"sslv2": 0x0002, "sslv3": 0x0300, "tls1.0": 0x0301, "tls1.1": 0x0302, "tls1.2": 0x0303, "tls1.3": 0x0304,
	"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304,
}

var states = map[string]uint8{
	"client_hello": stateClientHello, "server_hello": stateServerHello, "client_keyx": stateClientKey, "server_keyx": stateServerKey,
	"hello": stateClientHello | stateServerHello, "unknown": 0x80,
}

// progressNames are the states of each side.
var progressNames = [2]map[string]int{
	{"client_in_progress": 0, "client_hello_done": 1, "client_cert_done": 2, "client_handshake_done": 3, "client_finished": 4},
	{"server_in_progress": 0, "server_hello": 1, "server_cert_done": 2, "server_hello_done": 3, "server_handshake_done": 4, "server_finished": 5},
}

// Words answers tls.version, ssl_version, ssl_state and app-layer-state.
func (t *Transaction) Words(keyword string, args []string, dir tx.Direction) (match, known bool) {
	switch keyword {
	case "app-layer-state":
		at := int(t.stage[dir])
		if t.Ended[dir] {
			at = len(progressNames[dir]) - 1
		}
		// A side that has said nothing yet is in no state.
		return (at > 0 || t.heard[dir]) && tx.State(args, progressNames[:], at), true
	case "tls.version", "ssl_version":
		v := t.version(dir)
		if v == 0 {
			return false, true
		}
		for _, arg := range args {
			name, not := strings.CutPrefix(arg, "!")
			want, ok := versions[name]
			if !ok {
				n, err := strconv.ParseUint(name, 0, 16)
				if err != nil {
					continue
				}
				want = uint16(n)
			}
			if (want == v) != not {
				return true, true
			}
		}
		return false, true
	case "ssl_state":
		for _, arg := range args {
			for word := range strings.SplitSeq(arg, "|") {
				name, not := strings.CutPrefix(strings.TrimSpace(word), "!")
				if (t.states&states[name] != 0) != not {
					return true, true
				}
			}
		}
		return false, true
	}
	return false, false
}

type record struct {
	Subject     string   `json:"subject,omitempty"`
	Issuer      string   `json:"issuerdn,omitempty"`
	Serial      string   `json:"serial,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	SNI         string   `json:"sni,omitempty"`
	Version     string   `json:"version,omitempty"`
	NotBefore   string   `json:"notbefore,omitempty"`
	NotAfter    string   `json:"notafter,omitempty"`
	JA3         *ja3     `json:"ja3,omitempty"`
	JA3S        *ja3     `json:"ja3s,omitempty"`
	JA4         string   `json:"ja4,omitempty"`
	ALPN        []string `json:"client_alpns,omitempty"`
}

type ja3 struct {
	Hash string `json:"hash"`
	Text string `json:"string"`
}

var versionNames = map[uint16]string{2: "SSLv2", 0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLS 1.1", 0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}

// Record is what the event log says of it.
func (t *Transaction) Record() (string, any) {
	r := record{Version: versionNames[t.version(tx.ToClient)]}
	if t.client != nil {
		r.SNI = string(t.client.SNI)
		r.JA3 = &ja3{string(t.make(ja3Hash)), string(t.make(ja3Text))}
		r.JA4 = string(t.make(ja4Hash))
		for _, name := range t.client.ALPN {
			r.ALPN = append(r.ALPN, string(name))
		}
	}
	if t.server != nil {
		r.JA3S = &ja3{string(t.make(ja3sHash)), string(t.make(ja3sText))}
	}
	if certs := t.certs[tx.ToClient]; len(certs) > 0 {
		c := certs[0]
		r.Subject, r.Issuer, r.Serial, r.Fingerprint = string(c.subject), string(c.issuer), string(c.serial), string(c.fingerprint)
		if c.hasDates {
			const form = "2006-01-02T15:04:05"
			r.NotBefore, r.NotAfter = time.Unix(c.notBefore, 0).UTC().Format(form), time.Unix(c.notAfter, 0).UTC().Format(form)
		}
	}
	return "tls", r
}
