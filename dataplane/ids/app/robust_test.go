package app

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids/app/apptest"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// streams are the protocols over TCP, in a fixed order.
var streams = func() (all []rule.Protocol) {
	for p := range dialects {
		if p.Transports()&OverTCP != 0 {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}()

// samples are conversations, what the client says and what the server does.
var samples = map[string][2]string{
	"http1": {
		"POST /a/%2e%2e/b?x=%41 HTTP/1.1\r\nHost: Example.com:80\r\nContent-Type: multipart/form-data; boundary=zz\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"5\r\n--zz\r\n47\r\n\nContent-Disposition: form-data; name=\"a\"; filename=\"f.txt\"\r\n\r\ndata\r\n--zz--\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\n 2\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\nplain",
	},
	"http2": {
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x01\x00\x00\x10\x00\x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x84\x86",
		"\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88\x00\x00\x03\x00\x01\x00\x00\x00\x01abc",
	},
	"dns": {"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01", "\x00\x0c\x12\x34\x81\x80\x00\x00\x00\x00\x00\x00\x00\x00"},
	"tls": {"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x02\x13\x01\x01\x00\x00\x00\x14\x03\x03\x00\x01\x01",
		"\x15\x03\x03\x00\x02\x02\x28\x18\x03\x03\x00\x03\x01\x40\x00"},
	"ssh":  {"SSH-2.0-x y\r\n\x00\x00\x00\x0c\x04\x14abcdefghij", "motd\r\nSSH-2.0-OpenSSH_9\r\n"},
	"smtp": {"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: a/b; name=f\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n.\r\nQUIT\r\n", "220 x ESMTP\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n221 bye\r\n"},
	"ftp":  {"USER a\r\nPORT 10,0,0,1,4,1\r\nRETR f\r\n", "220 (x)\r\n331 y\r\n200 ok\r\n150 here\r\n226 done\r\n"},
	"smb":  {"\x00\x00\x00\x36\xffSMBu" + strings.Repeat("\x00", 27) + "\x04\xff\x00\x00\x00\x00\x00\x01\x00\x0b\x00\x00\\\\a\\b\x00IPC\x00", "\x00\x00\x00\x40\xfeSMB" + strings.Repeat("\x00", 60)},
	"dcerpc": {"\x05\x00\x00\x03\x10\x00\x00\x00\x1c\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00\x09\x00stub",
		"\x05\x00\x02\x03\x10\x00\x00\x00\x1c\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00back"},
	"sip":       {"INVITE sip:a@b SIP/2.0\r\nVia: x\r\nContent-Type: application/sdp\r\nContent-Length: 10\r\n\r\nv=0\r\ns=a\r\n", "SIP/2.0 200 OK\r\nl: 0\r\n\r\n"},
	"mqtt":      {"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x30\x05\x00\x01tab", "\x20\x02\x00\x00\xf0\x00"},
	"websocket": {"\x81\x85\x01\x02\x03\x04igoho\x01\x01a\x89\x00\x80\x01b", "\x82\x7e\x00\x03abc"},
	"krb5":      {"\x00\x00\x00\x06\x6a\x04\x30\x02\xa1\x00", ""},
	"ldap":      {"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"},
	"rfb":       {"RFB 003.008\n\x02" + strings.Repeat("c", 16) + "\x01", "RFB 003.008\n\x01\x02" + strings.Repeat("c", 16) + "\x00\x00\x00\x00" + strings.Repeat("p", 20) + "\x00\x00\x00\x04name"},
	"pgsql":     {"\x00\x00\x00\x0d\x00\x03\x00\x00user\x00Q\x00\x00\x00\x0dselect 1\x00", "Z\x00\x00\x00\x05I"},
	"modbus":    {"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x02", "\x00\x01\x00\x00\x00\x07\x01\x03\x04\x00\x01\x00\x02"},
	"dnp3":      {"\x05\x64\x05\xc0\x01\x00\x00\x04\x00\x00", ""},
	"enip":      {"\x63\x00\x00\x00" + strings.Repeat("\x00", 20), "\x65\x00\x04\x00" + strings.Repeat("\x00", 20) + "\x01\x00\x00\x00"},
	"nfs":       {"\x80\x00\x00\x28\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa3\x00\x00\x00\x03\x00\x00\x00\x00" + strings.Repeat("\x00", 16), ""},
	"ftp-data":  {"", "file"},
	"doh2":      {"", ""},
}

// run feeds a parser both sides, in pieces of a size.
func run(p Parser, sides [2][]byte, size int) {
	for dir, data := range sides {
		for len(data) > 0 {
			n := len(data)
			if size > 0 {
				n = min(size, n)
			}
			p.Feed(Direction(dir), data[:n])
			data = data[n:]
		}
	}
	p.Close(ToServer)
	p.Close(ToClient)
}

func tell(p Parser) string { return dump(&Session{parser: p}) }

// What is told of a stream does not depend on how it was cut.
func TestSplitting(t *testing.T) {
	for _, proto := range streams {
		sample, ok := samples[proto.String()]
		if !ok {
			t.Errorf("%s has no sample", proto)
		}
		sides := [2][]byte{[]byte(sample[0]), []byte(sample[1])}
		limits := Limits{HashFiles: true, Frames: true}
		whole := New(proto, OverTCP, limits)
		run(whole, sides, 0)
		want := tell(whole)
		if proto.String() != "doh2" && len(whole.Transactions()) == 0 {
			t.Errorf("%s: the sample makes no transaction", proto)
		}
		for size := 1; size < 9; size++ {
			parts := New(proto, OverTCP, limits)
			run(parts, sides, size)
			if diff := cmp.Diff(want, tell(parts)); diff != "" {
				t.Errorf("%s in pieces of %d (-whole +pieces):\n%s", proto, size, diff)
			}
		}
	}
}

// The same of captures, where there are any.
func TestSplittingCaptures(t *testing.T) {
	suite := apptest.Suite(t)
	captures, _ := filepath.Glob(filepath.Join(suite, "cases/*/*.pcap"))
	for i, name := range captures {
		if i%5 != 0 && testing.Short() {
			continue
		}
		for _, f := range apptest.Read(t, name) {
			if f.UDP || len(f.Pieces) > 400 {
				continue
			}
			limits := Limits{HashFiles: true}
			want := dump(play(f, limits, nil))
			for _, size := range []int{1, 7} {
				if got := dump(play(f, limits, func(int) int { return size })); got != want {
					t.Errorf("%s, %d > %d in pieces of %d (-whole +pieces):\n%s", name, f.ClientPort, f.ServerPort, size, cmp.Diff(want, got))
				}
			}
		}
	}
}

// FuzzStreams feeds every parser of a stream whatever it may be sent.
func FuzzStreams(f *testing.F) {
	for i, proto := range streams {
		s := samples[proto.String()]
		f.Add(uint8(i), []byte(s[0]), []byte(s[1]), uint8(3))
	}
	f.Fuzz(func(t *testing.T, which uint8, client, server []byte, size uint8) {
		proto := streams[int(which)%len(streams)]
		limits := Limits{Frames: true, HashFiles: true}
		whole, parts := New(proto, OverTCP, limits), New(proto, OverTCP, limits)
		run(whole, [2][]byte{client, server}, 0)
		run(parts, [2][]byte{client, server}, max(1, int(size)))
		if diff := cmp.Diff(tell(whole), tell(parts)); diff != "" {
			t.Fatalf("%s in pieces of %d (-whole +pieces):\n%s", proto, size, diff)
		}
		gaps := New(proto, OverTCP, limits)
		for dir, data := range [2][]byte{client, server} {
			half := len(data) / 2
			gaps.Feed(Direction(dir), data[:half])
			gaps.Gap(Direction(dir), max(1, int(size)))
			gaps.Feed(Direction(dir), data[half:])
		}
		tell(gaps)
		for _, tr := range slices.Clone(gaps.Transactions()) {
			gaps.Free(tr.ID())
		}
	})
}

// FuzzDatagrams feeds sessions datagrams: detection, then whatever it finds.
func FuzzDatagrams(f *testing.F) {
	ports := []uint16{53, 443, 5353, 67, 123, 161, 500, 88, 389, 2049, 44818, 5060, 135, 69}
	for i := range ports {
		f.Add(uint8(i), []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"), []byte("\xc0\x00\x00\x00\x01\x08abcdefgh\x00\x00\x44\xd0"))
	}
	f.Fuzz(func(t *testing.T, port uint8, client, server []byte) {
		s := Open(Flow{Over: OverUDP, ClientPort: 40000, ServerPort: ports[int(port)%len(ports)], Limits: Limits{Frames: true}})
		s.Feed(ToServer, client)
		s.Feed(ToClient, server)
		s.Feed(ToServer, client)
		s.Close(ToServer)
		dump(s)
	})
}

// FuzzDetect looks at beginnings: whatever they are, an answer comes within the bytes
// that are looked at.
func FuzzDetect(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s[0]), uint16(80), true)
		f.Add([]byte(s[1]), uint16(502), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, port uint16, client bool) {
		dir := ToClient
		if client {
			dir = ToServer
		}
		if found, failed := Detect(nil, OverTCP, dir, 40000, port, b, len(b) >= maxProbed); found == 0 && !failed && len(b) >= maxProbed {
			t.Fatal("no answer")
		}
		Detect(nil, OverUDP, dir, port, 40000, b, true)
	})
}

// Headers without end, lines without end and streams without end are bounded.
func TestBounded(t *testing.T) {
	limits := Limits{Transactions: 64}
	p := New(tx.Proto("http1"), OverTCP, limits)
	p.Feed(ToServer, []byte("GET / HTTP/1.1\r\n"))
	for range 10000 {
		p.Feed(ToServer, []byte("X-Header: "+strings.Repeat("v", 100)+"\r\n"))
	}
	if got := p.Transactions()[0].Events(); !slices.Contains(got, "request_too_many_headers") && !slices.Contains(got, "request_header_repetition") {
		t.Errorf("endless headers: events %v", got)
	}
	for i, proto := range streams {
		p := New(proto, OverTCP, limits)
		for n := range 3000 {
			line := samples[proto.String()][0]
			if i%2 == 0 {
				line = strings.Repeat("\xff", 64)
			}
			p.Feed(ToServer, []byte(line))
			p.Feed(ToClient, binary.BigEndian.AppendUint32([]byte(samples[proto.String()][1]), uint32(n)))
		}
		if n := len(p.Transactions()); n > 2*limits.Transactions {
			t.Errorf("%s keeps %d transactions", proto, n)
		}
	}
}
