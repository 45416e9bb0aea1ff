package http2

import (
	"bytes"
	"encoding/base64"
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"golang.org/x/net/http2/hpack"

	"ngfw.sh/dataplane/ids/app/dns"
	"ngfw.sh/dataplane/ids/app/inflate"
	"ngfw.sh/dataplane/ids/app/tx"
)

// Transaction is a stream.
type Transaction struct {
	tx.Common
	p       *Parser
	stream  uint32
	dropped bool
	halves  [2]half

	settings [2][]setting
}

// half is one direction of a stream.
type half struct {
	fields  []hpack.HeaderField
	seen    bool // headers
	layers  []*inflate.Stream
	brotli  bool // the body is, and waits in packed for its end
	packed  []byte
	data    []byte
	size    uint64
	cut     bool
	file    *tx.File
	frames  []byte
	numbers []number
	dns     *dns.Transaction
	dnsBody bool
	built   map[string][]byte
}

type number struct {
	keyword string
	value   uint64
}

type setting struct {
	id    uint16
	value uint32
}

const maxNumbers = 1024

func (t *Transaction) frameSeen(dir tx.Direction, kind byte) {
	if h := &t.halves[dir]; len(h.frames) < maxNumbers {
		h.frames = append(h.frames, kind)
	}
}

func (t *Transaction) number(dir tx.Direction, keyword string, v uint64) {
	if h := &t.halves[dir]; len(h.numbers) < maxNumbers {
		h.numbers = append(h.numbers, number{keyword, v})
	}
}

// sizeUpdates reads those of the dynamic table: they stand at a block's beginning
// (RFC 7541 section 4.2).
func (t *Transaction) sizeUpdates(dir tx.Direction, b []byte) {
	for len(b) > 0 && b[0]&0xe0 == 0x20 {
		v := uint64(b[0] & 31)
		b = b[1:]
		if v == 31 {
			for shift := 0; len(b) > 0 && shift < 63; shift += 7 {
				c := b[0]
				b = b[1:]
				v += uint64(c&0x7f) << shift
				if c&0x80 == 0 {
					break
				}
			}
		}
		t.number(dir, "http2.size_update", v)
	}
}

// field is a header's value, nil if it is not there.
func (h *half) field(name string) []byte {
	for i := range h.fields {
		if h.fields[i].Name == name {
			return []byte(h.fields[i].Value)
		}
	}
	return nil
}

func (t *Transaction) takeHeaders(dir tx.Direction, fields []hpack.HeaderField) {
	h := &t.halves[dir]
	first := !h.seen
	h.seen = true
	h.built = nil
	room := t.p.limits.Headers - len(h.fields)
	h.fields = append(h.fields, fields[:min(len(fields), max(0, room))]...)
	if !first {
		return
	}
	if dir == tx.ToServer {
		authority, host := h.field(":authority"), h.field("host")
		if bytes.IndexByte(authority, '@') >= 0 {
			t.Event("userinfo_in_uri")
		}
		if authority != nil && host != nil && !bytes.EqualFold(authority, host) {
			t.Event("authority_host_mismatch")
		}
	}
	for token := range bytes.FieldsFuncSeq(h.field("content-encoding"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if len(h.layers) == t.p.limits.DecompressLayers {
			break
		}
		switch strings.ToLower(string(token)) {
		case "gzip", "x-gzip":
			h.layers = append(h.layers, inflate.NewStream(inflate.Gzip))
		case "deflate":
			h.layers = append(h.layers, inflate.NewStream(inflate.Deflate))
		case "br":
			h.brotli = true
		}
	}
	t.lookForDNS(dir)
}

// lookForDNS finds a query in a GET's target, and bodies that are DNS messages.
func (t *Transaction) lookForDNS(dir tx.Direction) {
	h := &t.halves[dir]
	const kind = "application/dns-message"
	if string(h.field("content-type")) == kind {
		h.dnsBody = true
		t.p.doh = true
		return
	}
	if dir != tx.ToServer || !bytes.Contains(h.field("accept"), []byte(kind)) {
		return
	}
	_, query, _ := bytes.Cut(h.field(":path"), []byte("?"))
	for pair := range bytes.SplitSeq(query, []byte("&")) {
		if text, ok := bytes.CutPrefix(pair, []byte("dns=")); ok {
			t.p.doh = true
			if b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(string(text), "=")); err == nil {
				t.dnsMessage(dir, b)
			}
		}
	}
}

func (t *Transaction) dnsMessage(dir tx.Direction, b []byte) {
	if d := dns.NewTransaction(dir, b, t.Event); d != nil {
		t.halves[dir].dns = d
	}
}

// maxDNS is the size of the largest message.
const maxDNS = 65535

func (t *Transaction) body(dir tx.Direction, b []byte) {
	h := &t.halves[dir]
	if len(b) == 0 || h.cut {
		return
	}
	if h.brotli {
		h.packed = append(h.packed, b[:min(len(b), max(0, maxPacked-len(h.packed)))]...)
		return
	}
	t.decode(dir, h.layers, b)
}

// maxPacked bounds a body that is unpacked when it is whole.
const maxPacked = 256 << 10

// unpack gives out a Brotli body as far as it goes (RFC 7932).
func (t *Transaction) unpack(dir tx.Direction) {
	h := &t.halves[dir]
	if len(h.packed) == 0 {
		return
	}
	limit := int64(t.p.limits.DecompressedBytes)
	out, err := io.ReadAll(io.LimitReader(brotli.NewReader(bytes.NewReader(h.packed)), limit))
	if err != nil {
		t.Event("failed_decompression")
	}
	if h.packed = nil; len(out) > 0 {
		t.decode(dir, h.layers, out)
	}
}

func (t *Transaction) decode(dir tx.Direction, layers []*inflate.Stream, b []byte) bool {
	if len(layers) == 0 {
		return t.decoded(dir, b)
	}
	more := true
	layers[0].Write(b, func(out []byte) bool {
		more = t.decode(dir, layers[1:], out)
		return more
	})
	if layers[0].Failed {
		t.Event("failed_decompression")
	}
	return more
}

func (t *Transaction) decoded(dir tx.Direction, b []byte) bool {
	h := &t.halves[dir]
	limit := t.p.limits.RequestBody
	if dir == tx.ToClient {
		limit = t.p.limits.ResponseBody
	}
	h.size += uint64(len(b))
	if h.dnsBody && h.size > maxDNS {
		t.Event([]string{"dns_request_too_long", "dns_response_too_long"}[dir])
		h.dnsBody, h.cut = false, true
		return false
	}
	take := b[:min(uint64(len(b)), limit-min(limit, uint64(len(h.data))))]
	h.data = append(h.data, take...)
	if h.file == nil {
		h.file = tx.NewFile(t.p.files, string(t.halves[tx.ToServer].field(":path")), &t.p.limits)
		t.p.files++
		t.AddFile(dir, h.file)
	}
	// A file goes on after what is kept of the body does not.
	h.file.Write(b)
	return true
}

func (t *Transaction) gap(dir tx.Direction) {
	h := &t.halves[dir]
	h.cut, h.layers = true, nil
	t.CloseFiles(dir, tx.FileTruncated)
}

func (t *Transaction) end(dir tx.Direction, how tx.FileState) {
	if t.Ended[dir] {
		return
	}
	h := &t.halves[dir]
	t.unpack(dir)
	for i, layer := range h.layers {
		layer.Close(func(out []byte) bool { return t.decode(dir, h.layers[i+1:], out) })
	}
	h.layers = nil
	if h.dnsBody && how == tx.FileClosed {
		t.dnsMessage(dir, h.data)
	}
	t.Ended[dir] = true
	t.CloseFiles(dir, how)
}

// Numbers appends those of frames.
func (t *Transaction) Numbers(keyword string, dir tx.Direction, to []uint64) []uint64 {
	h := &t.halves[dir]
	if keyword == "http2.frametype" {
		for _, kind := range h.frames {
			to = append(to, uint64(kind))
		}
		return to
	}
	if strings.HasPrefix(keyword, "dns.") {
		if h.dns != nil {
			return h.dns.Numbers(keyword, dir, to)
		}
		return to
	}
	for _, n := range h.numbers {
		if n.keyword == keyword {
			to = append(to, n.value)
		}
	}
	return to
}

var settingNames = map[string]uint16{
	"SETTINGS_HEADER_TABLE_SIZE": 1, "SETTINGS_ENABLE_PUSH": 2, "SETTINGS_MAX_CONCURRENT_STREAMS": 3, "SETTINGS_INITIAL_WINDOW_SIZE": 4,
	"SETTINGS_MAX_FRAME_SIZE": 5, "SETTINGS_MAX_HEADER_LIST_SIZE": 6, "SETTINGS_ENABLE_CONNECT_PROTOCOL": 8,
	"SETTINGS_NO_RFC7540_PRIORITIES": 9,
}

// Words answers http2.settings: a setting, alone or compared with a number.
func (t *Transaction) Words(keyword string, args []string, dir tx.Direction) (match, known bool) {
	if keyword != "http2.settings" || len(args) != 1 {
		return false, false
	}
	name, op, value := args[0], "", ""
	if i := strings.IndexAny(name, "<>=!& "); i >= 0 {
		rest := strings.TrimSpace(name[i:])
		name = name[:i]
		value = strings.TrimLeft(rest, "<>=!& ")
		op = strings.TrimSpace(rest[:len(rest)-len(value)])
	}
	id, ok := settingNames[strings.ToUpper(strings.TrimSpace(name))]
	if !ok {
		return false, true
	}
	low, high, isRange := strings.Cut(value, "-")
	want, _ := strconv.ParseUint(strings.TrimSpace(low), 0, 32)
	to, _ := strconv.ParseUint(strings.TrimSpace(high), 0, 32)
	for _, s := range t.settings[dir] {
		v := uint64(s.value)
		if s.id != id {
			continue
		}
		switch {
		case value == "", isRange && v > want && v < to:
			return true, true
		case isRange:
		case op == "<" && v < want, op == ">" && v > want, op == "<=" && v <= want, op == ">=" && v >= want,
			(op == "" || op == "=") && v == want, (op == "!" || op == "!=") && v != want:
			return true, true
		}
	}
	return false, true
}
