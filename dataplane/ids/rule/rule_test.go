package rule

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeaders(t *testing.T) {
	for _, tt := range []struct{ header, canonical string }{
		{"alert tcp any any -> any any", ""},
		{"  drop  TCP\t1.2.3.4 80 <> [ 10.0.0.0/8 , !10.1.0.0/255.255.0.0 ] [80: 82,! 81,1024: ]", "drop tcp 1.2.3.4 80 <> [10.0.0.0/8,!10.1.0.0/16] [80:82,!81,1024:65535]"},
		{"reject ssl $HOME_NET any => !$HOME_NET $HTTP_PORTS", "reject tls $HOME_NET any => !$HOME_NET $HTTP_PORTS"},
		{"rejectsrc ip ! 1.1.1.1 any -> ![1.1.1.1, 1.1.1.2] !80", "reject ip !1.1.1.1 any -> ![1.1.1.1,1.1.1.2] !80"},
		{"rejectdst ikev2 [$EXTERNAL_NET,!$HOME_NET] :1024 -> 2001:DB8::/32 any", "rejectdst ike [$EXTERNAL_NET,!$HOME_NET] 0:1024 -> 2001:db8::/32 any"},
		{"rejectboth http_any 10.0.0.1-10.0.0.9 any -> any [1:80,![2,4]]", "rejectboth http 10.0.0.1-10.0.0.9 any -> any [1:80,![2,4]]"},
		{"pass tcp-pkt any any -> any any", ""},
		{"alert pkthdr any any -> any any", ""},
		{"alert ip6 any any -> ::/0 any", "alert ipv6 any any -> ::/0 any"},
	} {
		r, err := NewParser(DefaultConfig()).Parse(tt.header + " (sid:7;)")
		if err != nil {
			t.Errorf("%s: %v", tt.header, err)
			continue
		}
		want := tt.canonical
		if want == "" {
			want = tt.header
		}
		if got := strings.TrimSuffix(r.String(), " (sid:7;)"); got != want {
			t.Errorf("%s became %s, want %s", tt.header, got, want)
		}
		mustRoundTrip(t, r)
	}
}

func TestHeadersRefused(t *testing.T) {
	for _, tt := range []struct {
		text   string
		column int
		reason string
	}{
		{"", 1, "ends before its action"},
		{"alerts tcp any any -> any any (sid:1;)", 1, "no action"},
		{"alert tpc any any -> any any (sid:1;)", 7, "nearest known one is"},
		{"alert tcp any any <- any any (sid:1;)", 19, "no direction"},
		{"alert tcp any any -> any (sid:1;)", 26, "destination ports"},
		{"alert tcp 1.2.3 any -> any any (sid:1;)", 11, "no address"},
		{"alert tcp 1.2.3.4/33 any -> any any (sid:1;)", 11, "mask"},
		{"alert tcp [1.2.3.4,[5.6.7.8] any -> any any (sid:1;)", 11, "not closed"},
		{"alert tcp $NOSUCH any -> any any (sid:1;)", 11, "$NOSUCH is not defined"},
		{"alert tcp $HOME_NETS any -> any any (sid:1;)", 11, "nearest known one is HOME_NET"},
		{"alert tcp !any any -> any any (sid:1;)", 12, "!any matches nothing"},
		{"alert tcp [1.2.3.4,!1.2.3.0/24] any -> any any (sid:1;)", 11, "matches no address"},
		{"alert tcp any 65536 -> any any (sid:1;)", 15, "no port"},
		{"alert tcp any 9:8 -> any any (sid:1;)", 15, "ends before it begins"},
		{"alert tcp any any -> any any", 29, "options are missing"},
		{"alert tcp any any -> any any ()", 30, "no options"},
		{"alert tcp any any -> any any (msg:\"a\"; sid:1;", 30, "not closed"},
		{"alert tcp any any -> any any (msg:\"a\";)", 1, "no sid"},
		{"alert tcp any any -> any any (msg:\"a\"; sid:1)", 40, "not ended by a semicolon"},
		{"alert tcp any any -> any any (sid:1;) x", 38, "text after"},
		{"alert tcp any any -> any any (sid:1; sid:2;)", 38, "twice"},
		{"alert tcp any any -> any any (sid:0;)", 35, "from 1 to"},
		{"alert ip any any => any any (sid:1;)", 1, "transactions"},
		{"alert http any any => any any (flow:to_server; sid:1;)", 32, "both directions"},
	} {
		_, err := NewParser(DefaultConfig()).Parse(tt.text)
		e, ok := err.(*Error)
		if !ok || e.Line != 1 || e.Column != tt.column || !strings.Contains(e.Reason, tt.reason) {
			t.Errorf("%s: %v, want column %d, %q", tt.text, err, tt.column, tt.reason)
		}
	}
}

func TestMeta(t *testing.T) {
	r, err := NewParser(DefaultConfig()).Parse(`alert tcp any any -> any any (msg:"a \"b\"\; c"; reference:url,a.b/c?d=1\;e; reference: CVE , 2020-1; ` +
		`classtype:misc-attack; priority:3; metadata:created_at 2020_01_01, tag Exploit ,x; metadata: y z w; target:dest_ip; gid:7; sid:2000001; rev:4;)`)
	if err != nil {
		t.Fatal(err)
	}
	type meta struct {
		Message, Class     string
		GID, SID, Revision uint32
		Priority           uint8
		Target             Target
		References         []Reference
		Metadata           []Pair
	}
	want := meta{`a "b"; c`, "misc-attack", 7, 2000001, 4, 3, TargetDestination,
		[]Reference{{"url", "a.b/c?d=1;e"}, {"cve", "2020-1"}},
		[]Pair{{"created_at", "2020_01_01"}, {"tag", "Exploit"}, {"x", ""}, {"y", "z w"}}}
	got := meta{r.Message, r.Class, r.GID, r.SID, r.Revision, r.Priority, r.Target, r.References, r.Metadata}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	mustRoundTrip(t, r)
}

// TestRequires: a rule that is not for this version is no error, whatever it has.
func TestRequires(t *testing.T) {
	for options, unmet := range map[string]string{
		`nosuch:1; requires: version >= 9;`:                       "version >= 9",
		`requires: feature lua; lua:x;`:                           "feature lua",
		`requires: keyword nosuch;`:                               "keyword nosuch",
		`requires: colour blue;`:                                  "colour blue",
		`requires: version >= 7.0.4 < 8 | >= 8.0.1; content:"a";`: "",
		`requires: version < 8; content:"a";`:                     "version < 8",
	} {
		r, err := parseOptions("tcp", options)
		if err != nil || r.Unmet != unmet || r.SID != 1 {
			t.Errorf("%s: %+v, %v; want %q", options, r, err, unmet)
			continue
		}
		if unmet != "" {
			mustRoundTrip(t, r)
		}
	}
}

// TestDerived checks what a matcher groups rules by.
func TestDerived(t *testing.T) {
	for _, tt := range []struct {
		header, options  string
		fast, buffer     string
		server, client   bool
		apps             string
		alerts, chosen   bool
		perPacket, noneF bool
	}{
		{"alert http any any -> any any", `http.method; content:"POST"; http.uri; content:"/a.php";`, "/a.php", "http.uri", true, false, "http1/http2/doh2", true, false, false, false},
		{"alert http any any -> any any", `http.method; content:"POST"; fast_pattern; http.uri; content:"/a.php";`, "POST", "http.method", true, false, "http1/http2/doh2", true, true, false, false},
		{"pass tcp any any -> any any", `content:"abcdef"; fast_pattern:2,3; flow:to_client;`, "cde", "pkt_data", false, true, "", false, true, false, false},
		{"pass tcp any any -> any any", `content:!"abcdef"; alert; flags:S;`, "", "", true, true, "", true, false, true, true},
		{"alert tcp any any -> any any", `http.referer; absent: or_else; content:"abcdef"; noalert;`, "", "", true, false, "http1/http2/doh2", false, false, false, true},
		{"drop tls any any => any any", `ja3.hash; content:"ab"; ja3s.hash; content:"abcd";`, "abcd", "ja3s.hash", true, true, "tls", true, false, false, false},
		{"alert tcp any any -> any any", `content:"|00 00 00 00 00 00|"; content:"xyz";`, "xyz", "pkt_data", true, true, "", true, false, false, false},
		{"alert ip any any -> any any", `file.name; content:"x"; smtp.helo; content:"yy";`, "yy", "smtp.helo", true, false, "smtp", true, false, false, false},
	} {
		r, err := NewParser(DefaultConfig()).Parse(tt.header + " (" + tt.options + " sid:1;)")
		if err != nil {
			t.Errorf("%s: %v", tt.options, err)
			continue
		}
		c, fast := r.FastContent()
		if (c == nil) != tt.noneF || string(fast) != tt.fast || c != nil && r.Buffers[r.Fast.Buffer].Kind.Name != tt.buffer || r.Fast.Chosen != tt.chosen {
			t.Errorf("%s: fast pattern %q, %+v", tt.options, fast, r.Fast)
		}
		if r.ToServer != tt.server || r.ToClient != tt.client || r.Apps.String() != tt.apps || r.Alerts() != tt.alerts || r.PerPacket != tt.perPacket {
			t.Errorf("%s: to server %v, to client %v, apps %s, alerts %v, per packet %v", tt.options, r.ToServer, r.ToClient, r.Apps, r.Alerts(), r.PerPacket)
		}
	}
}

func TestLinesAndColumns(t *testing.T) {
	_, err := NewParser(DefaultConfig()).Parse("alert tcp any any -> any any ( \\\n\tmsg:\"a\"; \\\r\n  contnt:\"b\"; \\\n sid:5;)")
	want := &Error{Line: 3, Column: 3, SID: 5, Reason: "unknown keyword contnt; the nearest known one is content"}
	if d := cmp.Diff(want, err); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestResolve(t *testing.T) {
	vars := DefaultVariables()
	vars.Addresses["LOOP"] = "[$POOL]"
	vars.Addresses["POOL"] = "!$LOOP"
	vars.Addresses["V6"] = "[2001:db8::/32,192.0.2.1]"
	r := NewResolver(vars)
	for _, tt := range []struct {
		expression string
		in, out    string
	}{
		{"any", "1.2.3.4 ::1", ""},
		{"$HOME_NET", "10.1.2.3 192.168.255.255", "11.0.0.0 ::1 9.255.255.255"},
		{"$EXTERNAL_NET", "11.0.0.0 ::1", "10.0.0.0"},
		{"[10.0.0.0/24,!10.0.0.5]", "10.0.0.4 10.0.0.6", "10.0.0.5 10.0.1.0"},
		{"![10.0.0.0/24,!10.0.0.5]", "10.0.0.5 10.0.1.0 ::", "10.0.0.4"},
		{"[$EXTERNAL_NET,!$HOME_NET]", "8.8.8.8", "10.0.0.1"},
		{"[!10.0.0.0/8,!11.0.0.0/8]", "12.0.0.0 9.0.0.0 2001::", "10.0.0.0 11.255.255.255"},
		{"$V6", "2001:db8:ffff::1 192.0.2.1 ::ffff:192.0.2.1", "2001:db9:: 192.0.2.2"},
		{"::/0", "::1", "1.2.3.4"},
		{"0.0.0.0/0", "1.2.3.4", "::1"},
		{"[255.255.255.255,::]", "255.255.255.255 ::", "::1 255.255.255.254"},
	} {
		a, err := ParseAddresses(tt.expression)
		if err != nil {
			t.Fatal(err)
		}
		set, err := r.Addresses(a)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
			continue
		}
		for _, s := range strings.Fields(tt.in) {
			if !set.Contains(netip.MustParseAddr(s)) {
				t.Errorf("%s has not %s: %v", tt.expression, s, set)
			}
		}
		for _, s := range strings.Fields(tt.out) {
			if set.Contains(netip.MustParseAddr(s)) {
				t.Errorf("%s has %s: %v", tt.expression, s, set)
			}
		}
		if set.All() != (tt.expression == "any") {
			t.Errorf("%s: all is %v", tt.expression, set.All())
		}
	}
	for _, s := range []string{"$LOOP", "$NOSUCH", "[1.2.3.4,!1.2.3.4]"} {
		a, err := ParseAddresses(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Addresses(a); err == nil {
			t.Errorf("%s was resolved", s)
		}
	}
	p, err := ParsePorts("[1:80,![2,4],$SIP_PORTS,!$HTTP_PORTS]")
	if err != nil {
		t.Fatal(err)
	}
	ports, err := r.Ports(p)
	want := &PortSet{[]PortRange{{1, 1}, {3, 3}, {5, 79}, {5060, 5061}}}
	if d := cmp.Diff(want, ports); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if ports.Contains(2) || !ports.Contains(3) || ports.Contains(65535) {
		t.Error("Contains is wrong")
	}
}

func TestKindsOfBuffers(t *testing.T) {
	kinds := BufferKinds()
	for i, k := range kinds {
		if KindOf(k.Name) != k || i > 0 && kinds[i-1].Name >= k.Name || !k.ToServer && !k.ToClient {
			t.Errorf("%+v", k)
		}
	}
	if KindOf("http_uri") != nil {
		t.Error("an old name is a kind")
	}
}
