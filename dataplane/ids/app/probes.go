package app

import (
	"bytes"
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

var (
	protoHTTP1     = tx.Proto("http1")
	protoHTTP2     = tx.Proto("http2")
	protoTLS       = tx.Proto("tls")
	protoFTPData   = tx.Proto("ftp-data")
	protoSMB       = tx.Proto("smb")
	protoDNS       = tx.Proto("dns")
	protoDoH2      = tx.Proto("doh2")
	protoWebSocket = tx.Proto("websocket")
)

var probes = func() []probe {
	const both = OverTCP | OverUDP
	type tests = [2]func([]byte) answer
	one := func(f func([]byte) answer) tests { return tests{f, f} }
	p := func(name string) rule.Protocol { return tx.Proto(name) }
	return []probe{
		{p("http2"), OverTCP, nil, tests{starts("PRI * HTTP/2.0\r\n"), probeHTTP2Server}},
		{p("http1"), OverTCP, nil, tests{probeMethod, startsFold("HTTP/0.9", "HTTP/1.0", "HTTP/1.1")}},
		{p("tls"), OverTCP, nil, one(probeTLS)},
		{p("ssh"), OverTCP, nil, one(starts("SSH-"))},
		{p("rfb"), OverTCP, nil, one(starts("RFB 0"))},
		{p("smb"), OverTCP, nil, one(probeSMB)},
		{p("dcerpc"), OverTCP, nil, one(probeDCERPC)},
		{p("dcerpc"), OverUDP, []uint16{135, 34964, 49152}, one(probeDCERPCUDP)},
		{p("imap"), OverTCP, nil, tests{startsFold("1 capability", "a001 capability", "1 login"), startsFold("* OK ")}},
		{p("pop3"), OverTCP, nil, tests{startsFold("CAPA\r\n"), startsFold("+OK ")}},
		{p("smtp"), OverTCP, nil, tests{startsFold("EHLO", "HELO", "QUIT"), probeSMTPServer}},
		{p("ftp"), OverTCP, nil, tests{startsFold("USER ", "PASS ", "PORT ", "FEAT", "AUTH TLS", "AUTH SSL"), probeFTPServer}},
		{p("sip"), both, nil, one(probeSIP)},
		{p("irc"), OverTCP, []uint16{6665, 6666, 6667, 6668, 6669, 7000}, tests{startsFold("NICK ", "USER "), nil}},
		{p("jabber"), OverTCP, nil, one(starts("<stream:stream", "<?xml version='1.0'?><stream:stream", "<?xml version=\"1.0\"?><stream:stream"))},
		{p("bittorrent-dht"), OverUDP, nil, one(starts("d1:ad2:id20:", "d1:rd2:id20:", "d1:eli20"))},
		{p("mqtt"), OverTCP, nil, tests{probeMQTTClient, probeMQTTServer}},
		{p("mdns"), OverUDP, []uint16{5353}, one(probeDNSUDP)},
		{p("dns"), OverUDP, nil, one(probeDNSUDP)}, // and see elsewhere
		{p("dns"), OverTCP, nil, one(probeDNSTCP)},
		{p("quic"), OverUDP, nil, one(probeQUIC)},
		{p("dhcp"), OverUDP, []uint16{67, 68}, one(probeDHCP)},
		{p("ntp"), OverUDP, []uint16{123}, one(probeNTP)},
		{p("snmp"), OverUDP, []uint16{161, 162}, one(probeSNMP)},
		{p("tftp"), OverUDP, []uint16{69}, tests{probeTFTP, nil}},
		{p("ike"), OverUDP, []uint16{500, 4500}, one(probeIKE)},
		{p("krb5"), OverUDP, []uint16{88}, one(probeKRB5)},
		{p("krb5"), OverTCP, []uint16{88}, one(probeKRB5TCP)},
		{p("ldap"), both, []uint16{389, 3268}, one(probeLDAP)},
		{p("nfs"), OverTCP, nil, one(probeRPCTCP)},
		{p("nfs"), OverUDP, []uint16{111, 2049}, one(probeRPC)},
		{p("modbus"), OverTCP, []uint16{502}, one(probeModbus)},
		{p("dnp3"), OverTCP, nil, one(probeDNP3)},
		{p("enip"), both, []uint16{44818, 2222}, one(probeENIP)},
		{p("pgsql"), OverTCP, nil, tests{probePgsql, nil}},
		{p("rdp"), OverTCP, nil, one(probeRDP)},
		{p("telnet"), OverTCP, []uint16{23}, one(probeTelnet)},
	}
}()

// starts is a probe for texts at the beginning.
func starts(texts ...string) func([]byte) answer { return prefix(bytes.Equal, texts) }

func startsFold(texts ...string) func([]byte) answer { return prefix(bytes.EqualFold, texts) }

func prefix(equal func(a, b []byte) bool, texts []string) func([]byte) answer {
	list := make([][]byte, len(texts))
	for i, t := range texts {
		list[i] = []byte(t)
	}
	return func(b []byte) answer {
		result := no
		for _, t := range list {
			n := min(len(t), len(b))
			if !equal(b[:n], t[:n]) {
				continue
			}
			if n == len(t) {
				return yes
			}
			result = maybe
		}
		return result
	}
}

var methods = func() func([]byte) answer {
	var texts []string
	for _, m := range []string{"GET", "PUT", "POST", "HEAD", "TRACE", "OPTIONS", "CONNECT", "DELETE", "PATCH", "PROPFIND", "PROPPATCH",
		"MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE",
		"MKACTIVITY", "MERGE", "INVALID", "VERSION-CONTROL", "BASELINE-CONTROL"} {
		texts = append(texts, m+" ", m+"\t")
	}
	return startsFold(texts...)
}()

// probeMethod knows an HTTP/1 request by its method. That of SIP is the same for OPTIONS, UPDATE and a few
// more: there the line's end tells.
func probeMethod(b []byte) answer {
	a := methods(b)
	if a != yes {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if bytes.Contains(line, []byte(" SIP/2.0")) {
		return no
	}
	if i := bytes.IndexAny(line, " \t"); len(line) > i+5 && (bytes.HasPrefix(line[i+1:], []byte("sip:")) || bytes.HasPrefix(line[i+1:], []byte("sips:"))) {
		if !whole && len(b) < maxProbed {
			return maybe
		}
	}
	return yes
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
func be32(b []byte) int { return int(binary.BigEndian.Uint32(b)) }
func le16(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }

func probeHTTP2Server(b []byte) answer {
	// The first frame is SETTINGS (RFC 9113 section 3.4): stream 0, a multiple of 6.
	if len(b) < 9 {
		for i, want := range []byte{0, 0} {
			if i < len(b) && b[i] != want {
				return no
			}
		}
		if len(b) > 3 && b[3] != 4 {
			return no
		}
		return maybe
	}
	size := int(b[0])<<16 | be16(b[1:])
	if b[3] == 4 && b[4]&^1 == 0 && size%6 == 0 && size < 1<<14 && be32(b[5:])&0x7fffffff == 0 {
		return yes
	}
	return no
}

func probeTLS(b []byte) answer {
	if b[0] == 0x16 || b[0] == 0x15 || b[0] == 0x17 || b[0] == 0x14 {
		switch {
		case len(b) > 1 && b[1] != 3 || len(b) > 2 && b[2] > 4:
			return no
		case len(b) < 3:
			return maybe
		}
		return yes
	}
	// SSLv2's hello: a length with the top bit, 1, a version.
	if b[0]&0x80 != 0 {
		if len(b) < 5 {
			if len(b) > 2 && b[2] != 1 {
				return no
			}
			return maybe
		}
		if b[2] == 1 && (b[3] == 0 && b[4] == 2 || b[3] == 3 && b[4] <= 3) {
			return yes
		}
	}
	return no
}

func probeSMB(b []byte) answer {
	// A NetBIOS session message, then the mark of SMB 1, 2 or an encrypted 3.
	if b[0] != 0 && b[0] != 0x81 {
		return no
	}
	if len(b) < 8 {
		if len(b) > 4 && (b[4] < 0xfd || b[0] != 0) && b[0] != 0x81 {
			return no
		}
		return maybe
	}
	if string(b[5:8]) == "SMB" && b[4] >= 0xfd {
		return yes
	}
	if b[0] == 0x81 && be16(b[2:]) >= 32 && be16(b[2:]) <= 256 { // session request
		return yes
	}
	return no
}

func probeDCERPC(b []byte) answer {
	if b[0] != 5 || len(b) > 1 && b[1] > 1 || len(b) > 2 && b[2] > 19 {
		return no
	}
	if len(b) < 10 {
		return maybe
	}
	size := le16(b[8:])
	if b[4]&0x10 == 0 {
		size = be16(b[8:])
	}
	if b[4]&0xee == 0 && b[5] <= 3 && size >= 16 {
		return yes
	}
	return no
}

func probeDCERPCUDP(b []byte) answer {
	if len(b) >= 80 && b[0] == 4 && b[1] <= 10 && b[2]&0xfc == 0x20 || len(b) >= 80 && b[0] == 4 && b[1] <= 10 && b[3] <= 1 && b[4]&0xee == 0 {
		return yes
	}
	return no
}

func probeSMTPServer(b []byte) answer {
	if a := starts("220 ", "220-")(b); a != yes {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if bytes.Contains(bytes.ToUpper(line), []byte("SMTP")) {
		return yes
	}
	if whole || len(b) > 512 {
		return no
	}
	return maybe
}

func probeFTPServer(b []byte) answer {
	if a := starts("220 ", "220-")(b); a != yes {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	upper := bytes.ToUpper(line)
	if bytes.Contains(upper, []byte("FTP")) && !bytes.Contains(upper, []byte("SMTP")) || starts("220 (")(b) == yes {
		return yes
	}
	if whole || len(b) > 512 {
		return no
	}
	return maybe
}

var sipStart = starts("SIP/2.0 ", "INVITE ", "ACK ", "BYE ", "CANCEL ", "REGISTER ", "OPTIONS ", "PRACK ", "SUBSCRIBE ", "NOTIFY ",
	"PUBLISH ", "INFO ", "REFER ", "MESSAGE ", "UPDATE ")

func probeSIP(b []byte) answer {
	a := sipStart(b)
	if a != yes || b[0] == 'S' && b[1] == 'I' {
		return a
	}
	line, _, whole := bytes.Cut(b, []byte("\n"))
	_, uri, _ := bytes.Cut(line, []byte(" "))
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if bytes.HasPrefix(uri, []byte(scheme)) {
			return yes
		}
	}
	if bytes.HasSuffix(bytes.TrimSpace(line), []byte(" SIP/2.0")) {
		return yes
	}
	if whole || len(uri) >= 5 {
		return no
	}
	return maybe
}

func probeMQTTClient(b []byte) answer {
	if b[0] != 0x10 {
		return no
	}
	for i := 1; i < 6; i++ {
		if i >= len(b) {
			return maybe
		}
		if b[i]&0x80 != 0 {
			continue
		}
		rest := b[i+1:]
		if a := starts("\x00\x04MQTT", "\x00\x06MQIsdp")(rest); len(rest) == 0 || a == maybe {
			return maybe
		} else {
			return a
		}
	}
	return no
}

func probeMQTTServer(b []byte) answer {
	if b[0] != 0x20 {
		return no
	}
	if len(b) < 4 {
		return maybe
	}
	if b[1] < 2 || b[1] >= 0x80 || b[2]&^1 != 0 || b[1] > 2 && b[3] >= 0xa3 {
		return no
	}
	if len(b) < int(b[1])+2 {
		return maybe
	}
	return yes
}

func probeDHCP(b []byte) answer {
	if len(b) >= 240 && (b[0] == 1 || b[0] == 2) && be32(b[236:]) == 0x63825363 {
		return yes
	}
	return no
}

func probeNTP(b []byte) answer {
	if version := b[0] >> 3 & 7; len(b) >= 48 && version >= 1 && version <= 4 {
		return yes
	}
	return no
}

func probeSNMP(b []byte) answer {
	inner, _, ok := tx.DER(b, 0x30)
	if version, _, ok2 := tx.DER(inner, 2); ok && ok2 && len(version) == 1 && version[0] <= 3 {
		return yes
	}
	return no
}

func probeTFTP(b []byte) answer {
	if len(b) >= 4 && b[0] == 0 && b[1] >= 1 && b[1] <= 6 {
		return yes
	}
	return no
}

func probeIKE(b []byte) answer {
	if len(b) > 4 && be32(b) == 0 { // the mark of NAT traversal
		b = b[4:]
	}
	if len(b) >= 28 && (b[17] == 0x10 || b[17]>>4 == 2) && be32(b[24:]) <= len(b) && be32(b[24:]) >= 28 {
		return yes
	}
	return no
}

func probeKRB5(b []byte) answer {
	if len(b) < 10 || b[0]&0xe0 != 0x60 {
		return no
	}
	if kind := b[0] & 0x1f; kind >= 10 && kind <= 15 || kind == 30 {
		return yes
	}
	return no
}

func probeKRB5TCP(b []byte) answer {
	if len(b) < 14 {
		return maybe
	}
	if size := be32(b); size > 1<<20 || size < 10 {
		return no
	}
	return probeKRB5(b[4:])
}

func probeLDAP(b []byte) answer {
	if b[0] != 0x30 {
		return no
	}
	if len(b) < 8 {
		return maybe
	}
	at := 2
	if b[1]&0x80 != 0 {
		at += int(b[1] & 0x7f)
	}
	switch {
	case at > 6:
		return no
	case len(b) < at+2:
		return maybe
	case b[at] != 2 || b[at+1] == 0 || b[at+1] > 4:
		return no
	}
	if at += 2 + int(b[at+1]); at >= len(b) {
		return maybe
	}
	if b[at]&0xc0 == 0x40 && b[at]&0x1f <= 25 {
		return yes
	}
	return no
}

func probeRPC(b []byte) answer {
	if len(b) < 24 {
		return no
	}
	if kind := be32(b[4:]); kind == 0 && be32(b[8:]) == 2 && be32(b[12:]) >= 100000 && be32(b[12:]) < 100100 || kind == 1 && be32(b[8:]) <= 1 {
		return yes
	}
	return no
}

func probeRPCTCP(b []byte) answer {
	if b[0] != 0x80 {
		return no
	}
	if len(b) < 28 {
		return maybe
	}
	// Calls to NFS (100003) and mount (100005), and replies, whose third word is 0.
	if be32(b[8:]) == 0 && be32(b[12:]) == 2 && (be32(b[16:]) == 100003 || be32(b[16:]) == 100005) {
		return yes
	}
	if be32(b[8:]) == 1 && be32(b[12:]) == 0 && be32(b[16:]) <= 6 {
		return yes
	}
	return no
}

func probeModbus(b []byte) answer {
	if len(b) > 3 && (b[2] != 0 || b[3] != 0) {
		return no
	}
	if len(b) < 8 {
		return maybe
	}
	if n := be16(b[4:]); n >= 2 && n <= 254 {
		return yes
	}
	return no
}

func probeDNP3(b []byte) answer {
	if b[0] != 5 || len(b) > 1 && b[1] != 0x64 || len(b) > 2 && b[2] < 5 {
		return no
	}
	if len(b) < 3 {
		return maybe
	}
	return yes
}

func probeENIP(b []byte) answer {
	if len(b) < 24 {
		return maybe
	}
	switch le16(b) {
	case 0, 4, 0x63, 0x64, 0x65, 0x66, 0x6f, 0x70, 0x72, 0x73:
		if be32(b[20:]) == 0 {
			return yes
		}
	}
	return no
}

func probePgsql(b []byte) answer {
	if len(b) > 1 && (b[0] != 0 || b[1] != 0) {
		return no
	}
	if len(b) < 8 {
		return maybe
	}
	size, code := be32(b), be32(b[4:])
	if size == 8 && (code == 80877103 || code == 80877104) || size == 16 && code == 80877102 {
		return yes
	}
	if size >= 8 && size < 10000 && code == 3<<16 && (len(b) < 13 || bytes.HasPrefix(b[8:], []byte("user")) || bytes.HasPrefix(b[8:], []byte("database")) || bytes.Contains(b[8:], []byte("user\x00"))) {
		return yes
	}
	return no
}

func probeRDP(b []byte) answer {
	// TPKT and an X.224 connection request or confirm.
	if b[0] != 3 || len(b) > 1 && b[1] != 0 {
		return no
	}
	if len(b) < 7 {
		return maybe
	}
	if (b[5] == 0xe0 || b[5] == 0xd0) && int(b[4])+5 == be16(b[2:]) {
		return yes
	}
	return no
}

func probeTelnet(b []byte) answer {
	if len(b) >= 3 && b[0] == 0xff && b[1] >= 0xfa {
		return yes
	}
	return no
}

func probeQUIC(b []byte) answer {
	// Google's own of before: flags, an id, a version such as Q043.
	if len(b) >= 24 && b[0]&0xc9 == 0x09 && b[9] == 'Q' && b[10] == '0' && b[11] >= '2' && b[11] <= '5' {
		return yes
	}
	// A long header whose version is one that is used, and whose ids fit.
	if b[0]&0xc0 != 0xc0 || len(b) < 24 {
		return no
	}
	v := be32(b[1:])
	known := v == 1 || v == 0x6b3343cf || v>>8 == 0xff0000 || v>>24 == 'Q' || v>>24 == 'T' || v&0x0f0f0f0f == 0x0a0a0a0a
	if n := int(b[5]); !known || n > 20 && v>>24 != 'Q' {
		return no
	}
	return yes
}

// probeDNSUDP takes a message that could be one: header bits that mean something, few questions, and a
// name that can be read.
func probeDNSUDP(b []byte) answer { return dnsLooksRight(b, false) }

// wholeDNS says whether a message is one to its last byte, which elsewhere than on DNS's
// port tells it from what only begins like one.
func wholeDNS(b []byte) bool {
	if len(b) < 12 || be16(b[4:]) != 1 {
		return false
	}
	at := 12
	for section, records := range []int{1, be16(b[6:]), be16(b[8:]), be16(b[10:])} {
		for range records {
			for {
				if at >= len(b) {
					return false
				}
				n := int(b[at])
				if n&0xc0 == 0xc0 {
					at += 2
					break
				}
				if at += n + 1; n > 63 {
					return false
				}
				if n == 0 {
					break
				}
			}
			if at += 4; section > 0 {
				if at+6 > len(b) {
					return false
				}
				at += 6 + be16(b[at+4:])
			}
			if at > len(b) {
				return false
			}
		}
	}
	return at == len(b)
}

func probeDNSTCP(b []byte) answer {
	if len(b) < 14 {
		if len(b) > 1 && be16(b) < 12 || len(b) > 6 && !dnsCounts(b[2:]) {
			return no
		}
		return maybe
	}
	if be16(b) < 12 {
		return no
	}
	return dnsLooksRight(b[2:], true)
}

func dnsCounts(b []byte) bool { return len(b) < 6 || be16(b[4:]) <= 8 }

func dnsLooksRight(b []byte, partial bool) answer {
	if len(b) < 12 {
		return no
	}
	questions, answers := be16(b[4:]), be16(b[6:])
	opcode := b[2] >> 3 & 15
	if questions > 8 || opcode > 6 || questions == 0 && (answers == 0 && be16(b[8:]) == 0 && b[2]&0x80 == 0) || answers > 512 || be16(b[8:]) > 512 || be16(b[10:]) > 512 {
		return no
	}
	at := 12
	for {
		if at >= len(b) {
			if partial && at < 300 {
				return maybe
			}
			return no
		}
		n := int(b[at])
		if n == 0 {
			at++
			break
		}
		if n&0xc0 == 0xc0 {
			at += 2
			break
		}
		if n > 63 || at > 12+255 {
			return no
		}
		at += n + 1
	}
	if questions == 0 {
		return yes
	}
	if at+4 > len(b) {
		if partial {
			return maybe
		}
		return no
	}
	if class := be16(b[at+2:]) &^ 0x8000; class > 4 && class < 254 || class > 255 {
		return no
	}
	return yes
}
