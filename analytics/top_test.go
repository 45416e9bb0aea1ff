package analytics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestTopClients(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	bytes := func(sent, received uint64) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.BytesSent, e.BytesReceived = sent, received }
	}
	from := func(a string, mac byte, host string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.SourceIp, e.SourceMac[5], e.Hostname = ip(a), mac, host }
	}
	inward := func(to string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.ZoneFrom, e.ZoneTo, e.SourceIp, e.SourceMac = "WAN", "LAN", ip("203.0.113.9"), []byte{9, 9, 9, 9, 9, 9}
			e.DestinationIp = ip("198.51.100.1") // the router's own, forwarded
			e.NatDestinationIp = ip(to)
		}
	}
	kind := func(k ngfwv1.EventKind, n uint32) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.Kind, e.Count = k, n }
	}
	store(t, db, org, batch("e", 1,
		flow(now.Add(-3*time.Minute), from("192.168.1.10", 1, "old-name"), bytes(100, 1000)),
		flow(now.Add(-2*time.Minute), from("192.168.1.10", 1, "laptop"), bytes(50, 500), kind(ngfwv1.EventKind_EVENT_KIND_CLOSE, 1)),
		flow(now.Add(-time.Minute), inward("192.168.1.10"), bytes(7, 3)),
		flow(now, from("192.168.1.11", 2, ""), bytes(1, 2), kind(ngfwv1.EventKind_EVENT_KIND_REFUSED, 5)),
		flow(now, from("192.168.1.12", 3, ""), bytes(9, 0), func(e *ngfwv1.FlowEvent) { e.ZoneTo = "IOT" }),
		flow(now, from("2001:db8::10", 4, ""), bytes(1, 5), func(e *ngfwv1.FlowEvent) { e.DestinationIp = ip("2001:db8:1::1") }),
		flow(now, func(e *ngfwv1.FlowEvent) { e.ZoneFrom, e.ZoneTo = "WAN", "WAN" }, bytes(1e9, 1e9)),
		flow(now.Add(-25*time.Hour), from("192.168.1.13", 5, ""), bytes(1e9, 1e9)),
	))
	store(t, db, Origin{org.OrgID, "dev-2", 7}, batch("e", 1, flow(now, from("192.168.1.11", 2, "tv"), bytes(0, 1))))
	store(t, db, Origin{"org-2", "dev-3", 7}, batch("e", 1, flow(now, bytes(1e9, 1e9))))

	laptop := &ngfwv1.TopClient{Ip: "192.168.1.10", Hostname: optional("laptop"), Mac: optional("02:00:00:00:00:01"), RxBytes: 1507, TxBytes: 153, Connections: 2}
	tv := &ngfwv1.TopClient{Ip: "192.168.1.11", Hostname: optional("tv"), Mac: optional("02:00:00:00:00:02"), RxBytes: 3, TxBytes: 1, Connections: 6}
	sensor := &ngfwv1.TopClient{Ip: "192.168.1.12", Mac: optional("02:00:00:00:00:03"), RxBytes: 0, TxBytes: 9, Connections: 1}
	six := &ngfwv1.TopClient{Ip: "2001:db8::10", Mac: optional("02:00:00:00:00:04"), RxBytes: 5, TxBytes: 1, Connections: 1}
	yesterday := &ngfwv1.TopClient{Ip: "192.168.1.13", Mac: optional("02:00:00:00:00:05"), RxBytes: 1e9, TxBytes: 1e9, Connections: 1}
	for _, c := range []struct {
		name string
		r    *ngfwv1.TopRequest
		want []*ngfwv1.TopClient
	}{
		{"a day", &ngfwv1.TopRequest{}, []*ngfwv1.TopClient{laptop, sensor, six, tv}},
		{"a week", &ngfwv1.TopRequest{Period: "7d", Limit: optional(int32(2))}, []*ngfwv1.TopClient{yesterday, laptop}},
		{"until an hour ago", &ngfwv1.TopRequest{To: seconds(now.Add(-time.Hour))}, []*ngfwv1.TopClient{yesterday}},
		{"a span", &ngfwv1.TopRequest{From: seconds(now.Add(-26 * time.Hour)), To: seconds(now.Add(-time.Hour))}, []*ngfwv1.TopClient{yesterday}},
		{"one device", &ngfwv1.TopRequest{DeviceId: "dev-2"}, []*ngfwv1.TopClient{{
			Ip: "192.168.1.11", Hostname: optional("tv"), Mac: optional("02:00:00:00:00:02"), RxBytes: 1, Connections: 1,
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := ParseTop(c.r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := db.TopClients(t.Context(), org.OrgID, q)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, protocmp.Transform()); d != "" {
				t.Error(d)
			}
		})
	}
}
