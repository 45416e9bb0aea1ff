package detect

import (
	"testing"

	"ngfw.sh/dataplane/ids/app"
)

func TestTransactions(t *testing.T) {
	request := func(uri, method string) *fakeTx {
		return (&fakeTx{}).set(app.ToServer, "http.uri", uri).set(app.ToServer, "http.method", method)
	}
	for _, c := range []struct {
		rule    string
		yes, no *fakeTx
	}{
		{`alert http any any -> any any (http.method; content:"GET"; http.uri; content:"/evil"; startswith;)`, request("/evil/x", "GET"), request("/x/evil", "GET")},
		{`alert http any any -> any any (http.uri; content:"/a"; content:".php"; distance:0; endswith;)`, request("/a/b.php", "GET"), request("/a/b.php?x", "GET")},
		{`alert http any any -> any any (http.uri; bsize:5; content:"/a";)`, request("/abcd", "GET"), request("/abcde", "GET")},
		{`alert http any any -> any any (http.uri; content:!"x"; http.method; content:"GET";)`, request("/a", "GET"), request("/x", "GET")},
		{`alert http any any -> any any (http.uri; to_md5; content:"|90 01 50 98 3c d2 4f b0 d6 96 3f 7d 28 e1 7f 72|";)`, request("abc", "GET"), request("abd", "GET")},
		{`alert http any any -> any any (http.uri; dotprefix; content:".abc.de"; endswith;)`, request("abc.de", "GET"), request("xabc.de", "GET")},
		{`alert http any any -> any any (http.uri; strip_whitespace; content:"ab";)`, request("a b", "GET"), request("a-b", "GET")},
		{`alert http any any -> any any (http.uri; compress_whitespace; content:"a b";)`, request("a   b", "GET"), request("ab", "GET")},
		{`alert http any any -> any any (http.uri; url_decode; content:"a b c";)`, request("a+b%20c", "GET"), request("a-b%20c", "GET")},
		{`alert http any any -> any any (http.uri; xor:"0a0b"; content:"ab";)`, request("ki", "GET"), request("ab", "GET")},
		{`alert http any any -> any any (http.uri; pcrexform:"id=(\w+)"; content:"abc"; startswith; endswith;)`, request("/?id=abc", "GET"), request("/?id=abcd", "GET")},
		{`alert http any any -> any any (http.uri; from_base64; content:"hello";)`, request("aGVsbG8=", "GET"), request("hellO", "GET")},
		{`alert http any any -> any any (http.uri; to_lowercase; content:"abc";)`, request("aBC", "GET"), request("aBD", "GET")},
		{`alert http any any -> any any (http.uri; header_lowercase; content:"a: B";)`, request("A: B", "GET"), request("A: b", "GET")},
		{`alert http any any -> any any (http.uri; domain; content:"b.co.uk"; startswith;)`, request("www.a.b.co.uk", "GET"), request("www.b.com", "GET")},
		{`alert http any any -> any any (http.uri; tld; content:"co.uk"; startswith;)`, request("www.a.b.co.uk", "GET"), request("co.uk.com", "GET")},
		{`alert http any any -> any any (http.uri; entropy:value >3.0; content:"a";)`, request("abcdefghijklmnop", "GET"), request("aaaaaaaa", "GET")},
		{`alert http any any -> any any (http.uri; content:"a"; http.referer; absent;)`, request("a", "GET"), request("a", "GET").set(app.ToServer, "http.referer", "x")},
		{`alert http any any -> any any (http.uri; content:"a"; http.referer; absent:or_else; content:"x";)`, request("a", "GET").set(app.ToServer, "http.referer", "x"), request("a", "GET").set(app.ToServer, "http.referer", "y")},
		{`alert http any any -> any any (app-layer-event:http.odd;)`, &fakeTx{events: []string{"odd"}}, &fakeTx{}},
		{`alert dns any any -> any any (dns.opcode:2;)`, &fakeTx{numbers: map[string][]uint64{"dns.opcode": {2}}}, &fakeTx{numbers: map[string][]uint64{"dns.opcode": {1}}}},
		{`alert http any any -> any any (filesize:>10;)`, &fakeTx{files: [2][]*app.File{{{Size: 11}}}}, &fakeTx{files: [2][]*app.File{{{Size: 10}}}}},
		{`alert http any any -> any any (filename:"evil";)`, (&fakeTx{}).set(app.ToServer, "file.name", "xEVIL.exe"), (&fakeTx{}).set(app.ToServer, "file.name", "good")},
		{`alert tls any any -> any any (tls.version:1.2;)`, &fakeTx{numbers: map[string][]uint64{"tls.version": {0x303}}}, &fakeTx{numbers: map[string][]uint64{"tls.version": {0x304}}}},
		{`alert http any any -> any any (file.data; content:"abc"; offset:100; depth:3;)`,
			&fakeTx{buffers: [2]map[string][]app.Buffer{{"file.data": {{Data: []byte("xxabc"), Offset: 98}}}}},
			&fakeTx{buffers: [2]map[string][]app.Buffer{{"file.data": {{Data: []byte("xxabc"), Offset: 90}}}}}},
	} {
		for _, slow := range []bool{false, true} {
			cfg := testConfig()
			cfg.NoPrefilter = slow
			protocol := "http1"
			if c.rule[6] != 'h' {
				protocol = c.rule[6:9]
			}
			for i, tx := range []*fakeTx{c.yes, c.no} {
				tx.complete = [2]bool{true, true}
				w := compile(t, cfg, c.rule).NewWorker(NewState(DefaultStateConfig()))
				f := flow(t, protocol)
				in := &Input{Packet: tcp(""), Flow: f, Transactions: []app.Transaction{tx}}
				n := 0
				for range 2 { // the second time it is done with
					for _, m := range w.Inspect(in, nil) {
						if m.Tell {
							n++
						}
					}
				}
				if (n > 0) != (i == 0) || n > 2 {
					t.Errorf("%s: %d alerts of transaction %d (slow: %v)", c.rule, n, i, slow)
				}
			}
		}
	}
}
