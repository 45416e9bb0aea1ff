package quic

import (
	"bytes"
	"encoding/binary"
	"strings"

	"ngfw.sh/dataplane/ids/app/hello"
	"ngfw.sh/dataplane/ids/app/tx"
)

// google finds the client's hello in a packet of Google's versions before TLS
// (Q039 to Q050), where it is a list of tags in the open.
func (p *Parser) google(dir tx.Direction, b []byte) int {
	version := uint32(0)
	switch {
	case b[0]&0x80 != 0 && len(b) >= 5:
		version = binary.BigEndian.Uint32(b[1:])
	case b[0]&1 != 0 && len(b) >= 13 && b[9] == 'Q': // flags, an id, a version
		version = binary.BigEndian.Uint32(b[9:])
	}
	if version == 0 {
		return 0
	}
	t := p.begin(dir, version)
	i := bytes.Index(b, []byte("CHLO"))
	if i < 0 || dir != tx.ToServer || len(b) < i+8 {
		return 0
	}
	count := int(binary.LittleEndian.Uint16(b[i+4:]))
	tags := b[i+8:]
	if count > 256 || len(tags) < 8*count {
		return 0
	}
	values, from := tags[8*count:], 0
	var names []string
	for ; count > 0; count-- {
		name, end := strings.TrimRight(string(tags[:4]), "\x00"), int(binary.LittleEndian.Uint32(tags[4:]))
		tags = tags[8:]
		if end < from || end > len(values) {
			break
		}
		v := values[from:end]
		from = end
		names = append(names, name)
		switch name {
		case "SNI":
			t.Put(dir, "quic.sni", v)
			t.Field("sni", string(v))
		case "UAID":
			t.Put(dir, "quic.ua", v)
			t.Field("ua", string(v))
		}
	}
	text := []byte(versionName(version)[1:] + "," + strings.Join(names, "-"))
	if len(text) > 2 {
		text = bytes.TrimLeft(text, "0")
	}
	t.Put(dir, "quic.cyu.string", text)
	t.Put(dir, "quic.cyu.hash", hello.MD5(nil, text))
	p.done[dir] = true
	return 0
}
