// Package traffic owns generated traffic for tests and benchmarks of the matcher: whole
// connections of HTTP, TLS and DNS as frames of plain IPv4, the same ones each time but for
// the keys of TLS. Checksums are not filled in. It is no part of any program that
// runs on a router.
package traffic

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Frame is one packet, and when it is seen, in nanoseconds since 1970.
type Frame struct {
	At   int64
	Data []byte
}

// Traffic gathers frames.
type Traffic struct {
	Frames []Frame
	Bytes  int
	now    int64
	random *rand.Rand
	port   uint16
}

// New has none yet.
func New() *Traffic {
	return &Traffic{now: 1_700_000_000e9, random: rand.New(rand.NewPCG(1, 2)), port: 1024}
}

const mss = 1448

func (t *Traffic) emit(protocol byte, src, dst [4]byte, transport, payload []byte) {
	b := make([]byte, 0, 20+len(transport)+len(payload))
	b = append(b, 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0)
	b = append(append(b, src[:]...), dst[:]...)
	b = append(append(b, transport...), payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	t.now += 20_000
	t.Frames = append(t.Frames, Frame{t.now, b})
	t.Bytes += len(b)
}

// Conn is a connection of TCP. Side 0 is the client.
type Conn struct {
	*Traffic
	addr [2][4]byte
	port [2]uint16
	seq  [2]uint32
}

const (
	flagFIN, flagSYN, flagPSH, flagACK = 1, 2, 8, 16
)

func (c *Conn) packet(from int, flags byte, payload []byte) {
	to := from ^ 1
	h := make([]byte, 20)
	binary.BigEndian.PutUint16(h, c.port[from])
	binary.BigEndian.PutUint16(h[2:], c.port[to])
	binary.BigEndian.PutUint32(h[4:], c.seq[from])
	if flags&flagACK != 0 {
		binary.BigEndian.PutUint32(h[8:], c.seq[to])
	}
	h[12], h[13], h[14], h[15] = 0x50, flags, 0xff, 0xff
	c.emit(6, c.addr[from], c.addr[to], h, payload)
	c.seq[from] += uint32(len(payload))
	if flags&(flagSYN|flagFIN) != 0 {
		c.seq[from]++
	}
}

// Connect opens a connection to a port.
func (t *Traffic) Connect(port uint16) *Conn {
	t.port++
	if t.port < 1024 {
		t.port = 1024
	}
	r := t.random
	c := &Conn{
		Traffic: t, addr: [2][4]byte{{192, 168, byte(r.IntN(4)), byte(1 + r.IntN(250))}, {203, 0, 113, byte(1 + r.IntN(250))}},
		port: [2]uint16{t.port, port}, seq: [2]uint32{r.Uint32(), r.Uint32()},
	}
	c.packet(0, flagSYN, nil)
	c.packet(1, flagSYN|flagACK, nil)
	c.packet(0, flagACK, nil)
	return c
}

// Say sends bytes from a side, acknowledged every second segment.
func (c *Conn) Say(from int, b []byte) {
	for n := 0; len(b) > 0; n++ {
		k := min(len(b), mss)
		c.packet(from, flagACK|flagPSH, b[:k])
		b = b[k:]
		if n%2 == 1 || len(b) == 0 {
			c.packet(from^1, flagACK, nil)
		}
	}
}

// End closes the connection from both sides.
func (c *Conn) End() {
	c.packet(0, flagFIN|flagACK, nil)
	c.packet(1, flagFIN|flagACK, nil)
	c.packet(0, flagACK, nil)
}

var words = strings.Fields(`the of and to a in is it you that he was for on are with as his they be at one have this from or had by hot word but what some we can out
	other were all there when up use your how said an each she which do their time if will way about many then them write would like so these her long make thing see him two has look
	more day could go come did number sound no most people my over know water than call first who may down side been now find any new work part take get place made live where after back
	function return var document window script div class href http index image content style value null true false length object array string`)

// Text is n bytes of words as pages of the mix have them.
func Text(n int) []byte { return New().text(n) }

func (t *Traffic) text(n int) []byte {
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(append(b, words[t.random.IntN(len(words))]...), ' ')
	}
	return b[:n]
}

// http is a connection with a few requests.
func (t *Traffic) http() {
	c := t.Connect(80)
	for range 1 + t.random.IntN(4) {
		w := func() string { return words[t.random.IntN(len(words))] }
		c.Say(0, fmt.Appendf(nil, "GET /%s/%s.html?%s=%d HTTP/1.1\r\nHost: www.%s%d.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"+
			"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nConnection: keep-alive\r\nCookie: id=%x\r\n\r\n",
			w(), w(), w(), t.random.IntN(1e6), w(), t.random.IntN(100), t.random.Uint64()))
		body := t.text(2000 + t.random.IntN(150_000))
		c.Say(1, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: no-cache\r\n\r\n%s", len(body), body))
	}
	c.End()
}

// tls is a connection with a real handshake and what looks like its data.
func (t *Traffic) tls(flights [][2]any) {
	c := t.Connect(443)
	for _, f := range flights {
		c.Say(f[0].(int), f[1].([]byte))
	}
	for range 1 + t.random.IntN(3) {
		body := make([]byte, 5+16000)
		for i := 5; i+8 <= len(body); i += 8 {
			binary.LittleEndian.PutUint64(body[i:], t.random.Uint64())
		}
		body[0], body[1], body[2], body[3], body[4] = 23, 3, 3, 0x3e, 0x80
		c.Say(0, body[:600])
		c.Say(1, body)
	}
	c.End()
}

func (t *Traffic) dns() {
	w := func() string { return words[t.random.IntN(len(words))] }
	q := new(dns.Msg)
	q.SetQuestion(fmt.Sprintf("%s.%s%d.example.", w(), w(), t.random.IntN(1000)), dns.TypeA)
	q.Id = uint16(t.random.Uint32())
	a := q.Copy()
	a.Response = true
	a.Answer = append(a.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(203, 0, 113, 7)})
	t.port++
	client, server := [4]byte{192, 168, 1, byte(1 + t.random.IntN(250))}, [4]byte{203, 0, 113, 53}
	for i, m := range []*dns.Msg{q, a} {
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		h := make([]byte, 8)
		sport, dport, src, dst := t.port, uint16(53), client, server
		if i == 1 {
			sport, dport, src, dst = dport, sport, dst, src
		}
		binary.BigEndian.PutUint16(h, sport)
		binary.BigEndian.PutUint16(h[2:], dport)
		binary.BigEndian.PutUint16(h[4:], uint16(8+len(b)))
		t.emit(17, src, dst, h, b)
	}
}

// recorder notes what is written to a connection.
type recorder struct {
	net.Conn
	side int
	mu   *sync.Mutex
	to   *[][2]any
}

func (r recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	*r.to = append(*r.to, [2]any{r.side, append([]byte(nil), b...)})
	r.mu.Unlock()
	return r.Conn.Write(b)
}

// handshake records one of TLS 1.2, where the certificate is seen.
func handshake() ([][2]any, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"www.example.com"}, NotBefore: time.Unix(1.6e9, 0), NotAfter: time.Unix(2e9, 0)}
	cert, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	var flights [][2]any
	var mu sync.Mutex
	a, b := net.Pipe()
	server := tls.Server(recorder{b, 1, &mu, &flights}, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}, MaxVersion: tls.VersionTLS12})
	client := tls.Client(recorder{a, 0, &mu, &flights}, &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	done := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err == nil {
			_, err = io.ReadFull(server, make([]byte, 1))
		}
		done <- err
	}()
	if _, err := client.Write([]byte("x")); err != nil {
		return nil, err
	}
	if err := <-done; err != nil {
		return nil, err
	}
	return flights, nil
}

// Now is when the last frame was seen.
func (t *Traffic) Now() int64 { return t.now }

// Mix makes about n bytes: most of them HTTP, as of households.
func Mix(n int) (*Traffic, error) {
	x := New()
	flights, err := handshake()
	if err != nil {
		return nil, err
	}
	for x.Bytes < n {
		x.http()
		x.http()
		x.tls(flights)
		for range 5 {
			x.dns()
		}
	}
	return x, nil
}
