package mpm

import "math/rand/v2"

// builder chooses the pieces that patterns are known by.
type builder struct {
	set    *Set
	random *rand.Rand
	use    map[uint32]int32 // how many places of patterns have a 4-byte piece
}

// maxLook bounds how far into a pattern pieces are looked at.
const maxLook = 256

// choose finds the place in a pattern of the piece that costs least: rare in traffic,
// rare among patterns, known by few others.
func (b *builder) choose(p []byte, size int, taken map[uint32][]int32) int {
	best, least := 0, int(^uint(0)>>1)
	for i := 0; i+size <= min(len(p), maxLook); i++ {
		k := key(p[i:], size)
		cost := b.random.IntN(8)
		if n := len(taken[k]); n > 0 {
			cost += 24 * n
			if n >= maxList {
				cost += 100_000
			}
		}
		same := 0
		for j := range size {
			c := p[i+j]
			cost += int(common[c])
			if j > 0 && c == p[i] {
				same++
			}
		}
		if same == size-1 {
			cost += 400 // runs of one byte: padding
		}
		if size == 4 {
			cost += 2 * int(b.use[k])
			cost += 60 * min(int(typical[k]), 20)
		}
		if cost < least {
			best, least = i, cost
		}
	}
	return best
}

// common says how often traffic has a byte, roughly.
var common = func() (t [256]uint8) {
	for i := range t {
		t[i] = 8
	}
	for i, s := range []string{"\x00 eta/o", "inrs-lh\xff", "dcu\r\n.:=1", "mpfgwy02\"<>", "bvk,;()&3456789_%?"} {
		for _, c := range []byte(s) {
			w := uint8(40 - 6*i)
			t[c] = w
			if c >= 'a' && c <= 'z' {
				t[c-32] = w
			}
		}
	}
	return t
}()

// typical counts the pieces of text as the web is full of.
var typical = func() map[uint32]uint16 {
	m := map[uint32]uint16{}
	for i := 0; i+4 <= len(sample); i++ {
		m[key([]byte(sample[i:i+4]), 4)]++
	}
	return m
}()

const sample = "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
	"Chrome/120.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: session=; id=\r\nReferer: https://www.\r\n" +
	"Upgrade-Insecure-Requests: 1\r\nCache-Control: max-age=0, no-cache\r\n\r\nPOST /api/v1/ HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
	"Content-Length: 1000\r\nX-Requested-With: XMLHttpRequest\r\n\r\nHTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: nginx apache\r\n" +
	"Content-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\nLast-Modified: \r\nETag: \"\"\r\nSet-Cookie: path=/; HttpOnly; Secure\r\n" +
	"Vary: Accept-Encoding\r\nHTTP/1.1 404 Not Found\r\nHTTP/1.1 302 Found\r\nLocation: http://\r\n<!DOCTYPE html>\n<html><head><title></title>" +
	"<meta charset=\"utf-8\"><link rel=\"stylesheet\" href=\"/css/style.css\"><script type=\"text/javascript\" src=\"https://cdn.js\"></script></head>\n" +
	"<body class=\"\"><div id=\"content\"><p>the and that with this from have which</p><a href=\"http://\"></a><img src=\"/images/.png\" alt=\"\">" +
	"<input type=\"hidden\" name=\"\" value=\"\"></div></body></html>\nfunction(){var a=document.getElementById();return this;}if(typeof window!==\"undefined\")" +
	"{\"id\":1,\"name\":\"\",\"type\":\"\",\"data\":[],\"true\":false,\"null\"}.php?id=&=%20%2F.com.net.org.exe.asp.jsp.cgi/admin/login/user password\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\xff"
