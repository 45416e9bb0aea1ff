package analytics

import (
	"errors"
	"strings"
	"testing"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestParseLogsNamesTheParameter(t *testing.T) {
	many := make([]string, maxValues+1)
	for i := range many {
		many[i] = "1"
	}
	for _, c := range []struct {
		field string
		r     *ngfwv1.LogsRequest
	}{
		{"action", &ngfwv1.LogsRequest{Action: []string{"allow"}}},
		{"action", &ngfwv1.LogsRequest{Action: []string{"accept,,drop"}}},
		{"action", &ngfwv1.LogsRequest{Action: []string{"Accept"}}},
		{"event", &ngfwv1.LogsRequest{Event: []string{"open", "x"}}},
		{"proto", &ngfwv1.LogsRequest{Proto: []string{"256"}}},
		{"proto", &ngfwv1.LogsRequest{Proto: []string{"-1"}}},
		{"proto", &ngfwv1.LogsRequest{Proto: []string{"tcp' OR 1=1 --"}}},
		{"src", &ngfwv1.LogsRequest{Src: []string{"10.0.0.0/33"}}},
		{"src", &ngfwv1.LogsRequest{Src: []string{"10.0.0"}}},
		{"src", &ngfwv1.LogsRequest{Src: []string{"fe80::1%eth0"}}},
		{"src", &ngfwv1.LogsRequest{Src: []string{"::ffff:10.0.0.0/90"}}},
		{"dst", &ngfwv1.LogsRequest{Dst: []string{"'; DROP TABLE flows"}}},
		{"port", &ngfwv1.LogsRequest{Port: []string{"65536"}}},
		{"port", &ngfwv1.LogsRequest{Port: []string{"443-80"}}},
		{"port", &ngfwv1.LogsRequest{Port: []string{"80-"}}},
		{"app", &ngfwv1.LogsRequest{App: []string{"a\x00b"}}},
		{"geo", &ngfwv1.LogsRequest{Geo: []string{"DEU"}}},
		{"geo", &ngfwv1.LogsRequest{Geo: []string{"é"}}},
		{"threat", &ngfwv1.LogsRequest{Threat: []string{strings.Repeat("x", maxText+1)}}},
		{"rule_id", &ngfwv1.LogsRequest{RuleId: []string{"0"}}},
		{"rule_id", &ngfwv1.LogsRequest{RuleId: many}},
		{"q", &ngfwv1.LogsRequest{Q: "a\nb"}},
		{"from", &ngfwv1.LogsRequest{From: "yesterday"}},
		{"from", &ngfwv1.LogsRequest{From: "-1"}},
		{"from", &ngfwv1.LogsRequest{From: "1e9"}},
		{"from", &ngfwv1.LogsRequest{From: "1."}},
		{"from", &ngfwv1.LogsRequest{From: "99999999999999"}},
		{"from", &ngfwv1.LogsRequest{From: "+5"}},
		{"to", &ngfwv1.LogsRequest{To: "0x10"}},
		{"to", &ngfwv1.LogsRequest{From: "2000", To: "1000"}},
		{"to", &ngfwv1.LogsRequest{From: "2000", To: "2000"}},
		{"limit", &ngfwv1.LogsRequest{Limit: present(int32(0))}},
		{"limit", &ngfwv1.LogsRequest{Limit: present(int32(501))}},
		{"offset", &ngfwv1.LogsRequest{Offset: present(int32(-1))}},
		{"offset", &ngfwv1.LogsRequest{Offset: present(int32(10_001))}},
		{"offset", &ngfwv1.LogsRequest{Offset: present(int32(1)), Cursor: place{time: 1}.String()}},
		{"cursor", &ngfwv1.LogsRequest{Cursor: "AAAA"}},
		{"cursor", &ngfwv1.LogsRequest{Cursor: "!"}},
		{"count", &ngfwv1.LogsRequest{Count: "all"}},
	} {
		_, err := ParseLogs(c.r)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.InvalidConfig || f.Field() != c.field {
			t.Errorf("%v: %v, want a fault of %s", c.r, err, c.field)
		}
	}
}

func TestParseLogsTakes(t *testing.T) {
	for _, r := range []*ngfwv1.LogsRequest{
		{},
		{Action: []string{""}, Src: []string{""}, From: ""},
		{Action: []string{"accept,drop", "reject"}, Proto: []string{"TCP, 17"}},
		{Src: []string{"10.0.0.1/8,::/0", "2001:db8::1"}, Port: []string{"1-2,443", " 80 - 90 "}},
		{From: "1700000000.123456789", To: "1700000000.123458"},
		{Offset: present(int32(0)), Cursor: place{time: 1}.String()},
	} {
		if _, err := ParseLogs(r); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
	q, err := ParseLogs(&ngfwv1.LogsRequest{From: "1700000000.1234561", To: "1700000001"})
	if err != nil || q.from != 1700000000123457 || q.to != 1700000001000000 {
		t.Errorf("span %d to %d, %v", q.from, q.to, err)
	}
}

func TestParseTop(t *testing.T) {
	for _, c := range []struct {
		field string
		r     *ngfwv1.TopRequest
	}{
		{"period", &ngfwv1.TopRequest{Period: "2h"}},
		{"period", &ngfwv1.TopRequest{Period: "1h", From: "1000"}},
		{"to", &ngfwv1.TopRequest{From: "2000", To: "1000"}},
		{"limit", &ngfwv1.TopRequest{Limit: present(int32(0))}},
		{"limit", &ngfwv1.TopRequest{Limit: present(int32(501))}},
	} {
		_, err := ParseTop(c.r)
		if f, ok := fault.As(err); !ok || f.Field() != c.field {
			t.Errorf("%v: %v, want a fault of %s", c.r, err, c.field)
		}
	}
	if _, err := ParseTop(&ngfwv1.TopRequest{Period: "7d", Limit: present(int32(3))}); err != nil {
		t.Error(err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(place{time: 1, origin: 2, number: 3, n: 4}.String())
	f.Add("")
	f.Add("AQAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePlace(s)
		if err != nil {
			if !fault.Is(err, fault.InvalidConfig) {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if again, err := parsePlace(p.String()); err != nil || again != p {
			t.Fatalf("%q is %+v, which comes back as %+v, %v", s, p, again, err)
		}
	})
}

func FuzzLiveCursor(f *testing.F) {
	f.Add("abc")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseLiveCursor(s)
		if err == nil && s != "" && liveCursor(n) != s {
			t.Fatalf("%q is %d, which is %q", s, n, liveCursor(n))
		}
	})
}

func FuzzParseLogs(f *testing.F) {
	f.Add("accept", "tcp", "10.0.0.0/8", "80-90", "1700000000.5", "text")
	f.Add("drop,reject", "256", "::ffff:1.2.3.4/96", "65536", "1e9", "\x00")
	f.Fuzz(func(t *testing.T, action, proto, address, port, at, text string) {
		q, err := ParseLogs(&ngfwv1.LogsRequest{
			Action: []string{action}, Proto: []string{proto}, Src: []string{address}, Dst: []string{address},
			Port: []string{port}, From: at, Q: text, App: []string{text}, Geo: []string{text}, RuleId: []string{port},
		})
		if err != nil {
			if f, ok := fault.As(err); !ok || f.Field() == "" {
				t.Fatalf("%v names no parameter", err)
			}
			return
		}
		for _, p := range append(q.sources, q.targets...) {
			if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
				t.Fatalf("%q is read as %v", address, p)
			}
		}
		w := &where{}
		q.conditions(w) // must not panic, and must not hold the values
		if len(text) > 8 && strings.Contains(w.String(), text) {
			t.Fatalf("%q is in the statement %s", text, w)
		}
	})
}
