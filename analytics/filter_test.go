package analytics

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Few values, so that filters hit; awkward ones, so that the two meanings can
// differ: mapped addresses, their neighbours, case, what SQL or LIKE would eat.
var (
	someAddresses = []string{
		"0.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.0", "192.168.1.10", "255.255.255.255",
		"::", "::1", "::fffe:ffff:ffff", "::1:0:0:0", "2001:db8::1", "2001:db8:0:1::", "fe80::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	}
	someTexts = []string{"", "tls", "TLS", "http", "100%", "a_b", "ä Ä", "İstanbul", "it's", "back\\slash", "x\ty", "K", "\x00", "{p0:String}"}
)

func genAddress(t *rapid.T, v4 bool, label string) []byte {
	var of []string
	for _, a := range someAddresses {
		if netip.MustParseAddr(a).Is4() == v4 {
			of = append(of, a)
		}
	}
	return ip(rapid.SampledFrom(of).Draw(t, label))
}

func genEvent(t *rapid.T, base time.Time) *ngfwv1.FlowEvent {
	v4 := rapid.Bool().Draw(t, "v4")
	some := func(label string) string { return rapid.SampledFrom(someTexts).Draw(t, label) }
	return flow(base.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "age"))*time.Second), func(e *ngfwv1.FlowEvent) {
		e.Kind = ngfwv1.EventKind(rapid.IntRange(1, 4).Draw(t, "kind"))
		e.Action = ngfwv1.Verdict(rapid.IntRange(1, 3).Draw(t, "action"))
		e.Protocol = rapid.SampledFrom([]uint32{0, 1, 6, 17, 47, 58, 255}).Draw(t, "protocol")
		e.SourceIp, e.DestinationIp = genAddress(t, v4, "src"), genAddress(t, v4, "dst")
		e.DestinationPort = rapid.SampledFrom([]uint32{0, 53, 80, 443, 8080, 65535}).Draw(t, "port")
		e.RuleId = rapid.Int64Range(0, 3).Draw(t, "rule")
		e.App, e.Threat, e.Hostname, e.RuleName = some("app"), some("threat"), some("hostname"), some("rule name")
		e.Geo = rapid.SampledFrom([]string{"", "DE", "US"}).Draw(t, "geo")
	})
}

func genRequest(t *rapid.T, base time.Time) *ngfwv1.LogsRequest {
	// Each parameter is there in one of three requests.
	several := func(label string, of []string) []string {
		if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.SampledFrom(of), 1, 3).Draw(t, label)
	}
	var prefixes []string
	for _, a := range someAddresses {
		addr := netip.MustParseAddr(a)
		prefixes = append(prefixes, a)
		if addr.Is4() {
			prefixes = append(prefixes, "::ffff:"+a)
		}
		for _, bits := range []int{0, 1, 8, 24, 31, 32, 64, 80, 81, 95, 96, 97, 127, 128} {
			if bits <= addr.BitLen() {
				prefixes = append(prefixes, fmt.Sprintf("%s/%d", a, bits))
			}
		}
	}
	var plain []string
	for _, s := range someTexts {
		if _, err := readText(s); err == nil && s != "" && strings.TrimSpace(s) == s {
			plain = append(plain, s)
		}
	}
	r := &ngfwv1.LogsRequest{
		Action: several("action", actionNames[1:]), Event: several("event", eventNames[1:]),
		Proto: several("proto", []string{"tcp", "UDP", "icmp", "icmpv6", "0", "47", "255", "6"}),
		Src:   several("src", prefixes), Dst: several("dst", prefixes),
		Port: several("port", []string{"0", "53", "80-443", "443", "444-8079", "0-65535", "65535"}),
		App:  several("app", plain), Threat: several("threat", plain),
		Geo: several("geo", []string{"DE", "us", "FR"}), RuleId: several("rule_id", []string{"1", "2", "99"}),
		Limit: present(int32(maxLimit)),
	}
	if rapid.IntRange(0, 2).Draw(t, "q?") == 0 {
		r.Q = rapid.SampledFrom(append(plain, "10.0.0.1", "::1", "::ffff:10.0.0.1", "t", "S", "%", "_", "'", "i̇")).Draw(t, "q")
	}
	if rapid.IntRange(0, 2).Draw(t, "time?") == 0 {
		from := rapid.IntRange(1, 20).Draw(t, "from")
		r.From = seconds(base.Add(-time.Duration(from) * time.Second))
		r.To = seconds(base.Add(-time.Duration(rapid.IntRange(0, from-1).Draw(t, "to")) * time.Second))
	}
	return r
}

func seconds(t time.Time) string {
	return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
}

func TestFilterMeansTheSameInGoAndSQL(t *testing.T) {
	db := openTest(t, nil)
	base := time.Now().Truncate(time.Microsecond)
	var all []row
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		number := uint64(len(all) + 1)
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *ngfwv1.FlowEvent { return genEvent(t, base) }), 1, 8).Draw(t, "events")
		if len(all) < maxLimit-8 { // one page holds them all
			b := batch("e", number, events...)
			if err := db.Store(t.Context(), org, b); err != nil {
				t.Fatal(err)
			}
			s := &stamp{orgID: org.OrgID, deviceID: org.DeviceID, epoch: "e", origin: originOf(org.DeviceID, "e"), number: number, retention: 7}
			all = append(all, decode(s, b, time.Now()).rows...)
		}
		r := genRequest(t, base)
		q, err := ParseLogs(r)
		if err != nil {
			t.Fatal(err)
		}
		res, err := db.Logs(t.Context(), org.OrgID, q)
		if err != nil {
			t.Fatal(err)
		}
		got, want := []string{}, []string{}
		for _, e := range res.Logs {
			got = append(got, e.Id)
		}
		for i := range all {
			if q.match(&all[i]) {
				want = append(want, all[i].id())
			}
		}
		slices.Sort(got)
		sort.Strings(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("request %v (-go +sql)\n%s", r, d)
		}
		if len(got) > 0 && len(got) < len(all) {
			hits++
		}
	})
	if hits == 0 {
		t.Error("no filter took some rows and left others: the test says nothing")
	}
}
