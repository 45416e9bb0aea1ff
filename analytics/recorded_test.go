package analytics

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestRecorded(t *testing.T) {
	db := openTest(t, nil)
	minute := time.Now().Add(-10 * time.Minute).Truncate(time.Minute)
	kind := func(k ngfwv1.EventKind, n uint32) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.Kind, e.Count = k, n }
	}
	refused := func(reason string, n uint32) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.Kind, e.Action, e.Reason, e.Count = ngfwv1.EventKind_EVENT_KIND_REFUSED, ngfwv1.Verdict_VERDICT_DROP, reason, n
			e.BytesSent, e.BytesReceived = 60, 0
		}
	}
	inward := func(e *ngfwv1.FlowEvent) {
		e.InterfaceIn, e.InterfaceOut, e.SourceIp, e.SourceMac = "wan0", "lan0", ip("198.51.100.7"), nil
		e.DestinationIp, e.DestinationPort = ip("203.0.113.99"), 8443
		e.NatSourceIp, e.NatSourcePort, e.NatDestinationIp, e.NatDestinationPort = ip("198.51.100.7"), 40000, ip("192.168.1.10"), 443
	}
	six := func(e *ngfwv1.FlowEvent) { e.SourceIp, e.DestinationIp = ip("2001:db8::10"), ip("2001:db8:1::1") }
	store(t, db, org, batch("e", 1,
		flow(minute),
		flow(minute.Add(time.Second), kind(ngfwv1.EventKind_EVENT_KIND_CLOSE, 1), func(e *ngfwv1.FlowEvent) { e.App, e.Hostname = "tls", "example.org" }),
		flow(minute.Add(time.Minute), func(e *ngfwv1.FlowEvent) { e.SourcePort, e.RuleId = 50000, 9 }),
		flow(minute, inward),
		flow(minute, six),
		flow(minute, refused("rule", 1)),
		flow(minute.Add(2*time.Second), refused("rule", 4)),
		flow(minute.Add(3*time.Second), kind(ngfwv1.EventKind_EVENT_KIND_UPDATE, 1), func(e *ngfwv1.FlowEvent) {
			e.Action, e.Reason, e.BytesSent, e.BytesReceived = ngfwv1.Verdict_VERDICT_DROP, "threat", 0, 0
		}), // accepted by its policy, cut off by the matcher
		// Refused for what no policy is about.
		flow(minute, refused("no_state", 1)),
		flow(minute, refused("malformed", 1)),
		flow(minute.Add(-2*time.Hour), func(e *ngfwv1.FlowEvent) { e.DestinationPort = 1 }),
	))
	store(t, db, Origin{org.OrgID, "dev-2", 7}, batch("e", 1, flow(minute, func(e *ngfwv1.FlowEvent) { e.DestinationPort = 2 })))
	store(t, db, Origin{"org-2", "dev-1", 7}, batch("e", 1, flow(minute, func(e *ngfwv1.FlowEvent) { e.DestinationPort = 3 })))

	base := Recorded{
		InterfaceIn: "lan0", InterfaceOut: "wan0", Source: netip.MustParseAddr("192.168.1.10"), Destination: netip.MustParseAddr("203.0.113.5"),
		Protocol: 6, Port: 443, MAC: "02:00:00:00:00:01", Minute: time.Unix(0, 0),
	}
	with := func(r Recorded, bytes, connections, rows uint64, repeats uint32, last time.Time, change func(*Recorded)) Recorded {
		r.Bytes, r.Connections, r.Rows, r.MostRepeats, r.LastSeen = bytes, connections, rows, repeats, last
		if change != nil {
			change(&r)
		}
		return r
	}
	tls := func(r *Recorded) { r.App, r.Hostname = "tls", "example.org" }
	forwarded := with(base, 180, 1, 1, 1, minute, func(r *Recorded) {
		r.InterfaceIn, r.InterfaceOut, r.Source, r.Destination, r.MAC = "wan0", "lan0", netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.99"), ""
		r.Port = 8443
	})
	overSix := with(base, 180, 1, 1, 1, minute, func(r *Recorded) {
		r.Source, r.Destination = netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8:1::1")
	})
	thrown := with(base, 120, 5, 2, 4, minute.Add(2*time.Second), func(r *Recorded) { r.Refused = true })
	at := func(m time.Time) func(r *Recorded) { return func(r *Recorded) { r.Minute = m } }

	ask := func(q RecordedQuery) []Recorded {
		t.Helper()
		q.DeviceID, q.From, q.To, q.RetentionDays = "dev-1", minute.Add(-time.Hour), minute.Add(time.Hour), 7
		var got []Recorded
		err := db.Recorded(t.Context(), org.OrgID, q, func(r Recorded) error {
			if r.Example == "" {
				t.Errorf("no example: %+v", r)
			} else if e, err := db.Find(t.Context(), org.OrgID, 7, r.Example); err != nil || e.SourceIp != r.Source.String() {
				t.Errorf("the example of %+v is %v: %v", r, e, err)
			}
			r.Example, r.Minute, r.LastSeen = "", r.Minute.UTC(), r.LastSeen.Local()
			got = append(got, r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b Recorded) int {
			return cmp.Or(a.Source.Compare(b.Source), cmp.Compare(a.Rows, b.Rows), cmp.Compare(a.Bytes, b.Bytes), a.Minute.Compare(b.Minute))
		})
		return got
	}
	equal := gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	times := gocmp.Comparer(time.Time.Equal)
	if d := gocmp.Diff([]Recorded{
		thrown, with(base, 540, 2, 4, 1, minute.Add(time.Minute), tls), forwarded, overSix,
	}, ask(RecordedQuery{MACs: true}), equal, times); d != "" {
		t.Error(d)
	}
	now := func(r Recorded) Recorded { at(minute)(&r); return r }
	if d := gocmp.Diff([]Recorded{
		with(base, 180, 1, 1, 1, minute.Add(time.Minute), at(minute.Add(time.Minute))),
		now(thrown), now(with(base, 360, 1, 3, 1, minute.Add(3*time.Second), tls)), now(forwarded), now(overSix),
	}, ask(RecordedQuery{Minutes: true, MACs: true}), equal, times); d != "" {
		t.Error(d)
	}

	within := func(change func(*Area)) []Recorded {
		a := Area{In: []string{"lan0"}, Out: []string{"wan0"}, Protocol: -1, PortHi: 65535}
		change(&a)
		return ask(RecordedQuery{MACs: true, Areas: []Area{a}})
	}
	whole := with(base, 540, 2, 4, 1, minute.Add(time.Minute), tls)
	for name, tt := range map[string]struct {
		change func(*Area)
		want   []Recorded
	}{
		"anywhere":      {func(a *Area) { a.In, a.Out, a.AnyInterface = nil, nil, true }, []Recorded{thrown, whole, forwarded, overSix}},
		"by interfaces": {func(*Area) {}, []Recorded{thrown, whole, overSix}},
		"by source": {func(a *Area) {
			a.SourceFirst, a.SourceLast = netip.MustParseAddr("192.168.1.0"), netip.MustParseAddr("192.168.1.255")
		}, []Recorded{thrown, whole}},
		"by destination": {func(a *Area) {
			a.DestinationFirst, a.DestinationLast = netip.MustParseAddr("2001:db8:1::"), netip.MustParseAddr("2001:db8:1::ff")
		}, []Recorded{overSix}},
		"by service":      {func(a *Area) { a.Protocol, a.PortLo, a.PortHi = 6, 400, 443 }, []Recorded{thrown, whole, overSix}},
		"another service": {func(a *Area) { a.Protocol, a.PortLo, a.PortHi = 6, 444, 65535 }, nil},
		"another one":     {func(a *Area) { a.Protocol = 17 }, nil},
		"no interface":    {func(a *Area) { a.In = nil }, nil},
		"one address":     {func(a *Area) { a.SourceFirst, a.SourceLast = base.Source, base.Source }, []Recorded{thrown, whole}},
		"one port":        {func(a *Area) { a.Protocol, a.PortLo, a.PortHi = 6, 443, 443 }, []Recorded{thrown, whole, overSix}},
	} {
		if d := gocmp.Diff(tt.want, within(tt.change), equal, times); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}

	// Several areas; a flow of two of them is told once.
	for name, tt := range map[string]struct {
		areas []Area
		want  []Recorded
	}{
		"side by side": {[]Area{
			{In: []string{"lan0"}, Out: []string{"wan0"}, SourceFirst: overSix.Source, SourceLast: overSix.Source, Protocol: 6, PortLo: 443, PortHi: 443},
			{In: []string{"wan0"}, Out: []string{"lan0"}, SourceFirst: forwarded.Source, SourceLast: forwarded.Source, Protocol: 6, PortLo: 8443, PortHi: 8443},
		}, []Recorded{forwarded, overSix}},
		"overlapping": {[]Area{
			{In: []string{"lan0"}, Out: []string{"wan0"}, SourceFirst: overSix.Source, SourceLast: overSix.Source, Protocol: -1, PortHi: 65535},
			{AnyInterface: true, Protocol: 6, PortLo: 400, PortHi: 500},
		}, []Recorded{thrown, whole, overSix}},
		"not crossed": {[]Area{
			{In: []string{"lan0"}, Out: []string{"wan0"}, SourceFirst: forwarded.Source, SourceLast: forwarded.Source, Protocol: -1, PortHi: 65535},
			{In: []string{"wan0"}, Out: []string{"lan0"}, SourceFirst: overSix.Source, SourceLast: overSix.Source, Protocol: -1, PortHi: 65535},
		}, nil},
		"none": {[]Area{}, nil},
	} {
		if d := gocmp.Diff(tt.want, ask(RecordedQuery{MACs: true, Areas: tt.areas}), equal, times); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}

	// Addresses of cards are not told apart unless they are asked for.
	other := func(e *ngfwv1.FlowEvent) { e.SourceMac = []byte{2, 0, 0, 0, 0, 2} }
	ping := func(e *ngfwv1.FlowEvent) {
		e.Protocol, e.SourcePort, e.DestinationPort, e.IcmpType, e.IcmpCode = 1, 0, 0, 8, 3
	}
	store(t, db, org, batch("e", 2,
		flow(minute, six, other),
		flow(minute, inward, ping),
		flow(minute.Add(time.Second), inward, func(e *ngfwv1.FlowEvent) { e.InterfaceOut = "" }),
	))
	if want, got := 1, len(ask(RecordedQuery{Areas: []Area{{In: []string{"lan0"}, Out: []string{"wan0"}, SourceFirst: overSix.Source, SourceLast: overSix.Source, Protocol: 6, PortHi: 65535}}})); got != want+1 {
		t.Errorf("%d kinds, want one and the one without an interface", got)
	}
	pinged := with(forwarded, 180, 1, 1, 1, minute, func(r *Recorded) { r.Protocol, r.Port, r.ICMPType, r.ICMPCode = 1, 0, 8, 3 })
	nameless := with(forwarded, 180, 1, 1, 1, minute.Add(time.Second), func(r *Recorded) { r.InterfaceOut = "" })
	if d := gocmp.Diff([]Recorded{pinged, nameless}, ask(RecordedQuery{MACs: true, Areas: []Area{{AnyInterface: true, Protocol: 1, PortHi: 65535}}}), equal, times,
		cmpopts.SortSlices(func(a, b Recorded) bool { return a.Protocol < b.Protocol })); d != "" {
		t.Error(d)
	}

	enough := errors.New("enough")
	err := db.Recorded(t.Context(), org.OrgID, RecordedQuery{DeviceID: "dev-1", From: minute.Add(-time.Hour), To: minute.Add(time.Hour), RetentionDays: 7},
		func(Recorded) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("an error of the reader: %v", err)
	}
}
