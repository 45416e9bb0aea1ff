package analytics

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// traffic makes n events that look like a house's: few clients, many servers.
func traffic(rnd *rand.Rand, at time.Time, span time.Duration, n int) []*ngfwv1.FlowEvent {
	out := make([]*ngfwv1.FlowEvent, n)
	apps := []string{"tls", "http", "dns", "quic", "ssh", ""}
	for i := range out {
		client := rnd.IntN(40)
		out[i] = flow(at.Add(-time.Duration(rnd.Int64N(int64(span)))), func(e *ngfwv1.FlowEvent) {
			e.FlowId = rnd.Uint64()
			e.Kind = ngfwv1.EventKind(1 + rnd.IntN(4))
			e.Action = ngfwv1.Verdict(1 + min(rnd.IntN(20), 19)/18)
			e.SourceIp = []byte{192, 168, 1, byte(client)}
			e.SourceMac = []byte{2, 0, 0, 0, 0, byte(client)}
			e.SourcePort = 32768 + rnd.Uint32N(28000)
			e.DestinationIp = []byte{203, byte(rnd.IntN(8)), byte(rnd.IntN(200)), byte(rnd.IntN(200))}
			e.DestinationPort = []uint32{443, 443, 443, 80, 53, 22}[rnd.IntN(6)]
			e.RuleId = rnd.Int64N(20)
			e.RuleName = fmt.Sprint("rule ", e.RuleId)
			e.App, e.Geo = apps[rnd.IntN(len(apps))], []string{"DE", "US", "NL"}[rnd.IntN(3)]
			e.Hostname = fmt.Sprint("host-", client)
			e.BytesSent, e.BytesReceived = rnd.Uint64N(5000), rnd.Uint64N(200_000)
			e.PacketsSent, e.PacketsReceived = 1+e.BytesSent/1000, 1+e.BytesReceived/1400
			e.DurationNs = rnd.Int64N(int64(time.Minute))
		})
	}
	return out
}

// BenchmarkStore is ingest of batches by several devices at a time.
func BenchmarkStore(b *testing.B) {
	for _, c := range []struct{ devices, rows int }{{1, 100}, {1, 5000}, {8, 100}, {8, 1000}, {8, 5000}} {
		b.Run(fmt.Sprintf("devices=%d/rows=%d", c.devices, c.rows), func(b *testing.B) {
			db := openTest(b, nil)
			events := traffic(rand.New(rand.NewPCG(1, 2)), time.Now(), time.Minute, c.rows)
			b.ResetTimer()
			var wg sync.WaitGroup
			for d := range c.devices {
				wg.Go(func() {
					o := Origin{"org", fmt.Sprint("dev-", d), 7}
					for n := d; n < b.N; n += c.devices {
						if err := db.Store(b.Context(), o, &ngfwv1.FlowBatch{Epoch: "e", Number: uint64(n + 1), Events: events}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N*c.rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkQuery asks a million rows of 24 hours.
func BenchmarkQuery(b *testing.B) {
	db := openTest(b, nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	for n := range uint64(50) {
		events := traffic(rnd, now.Add(-time.Duration(n)*28*time.Minute), 28*time.Minute, 20_000)
		if err := db.Store(b.Context(), org, batch("e", n+1, events...)); err != nil {
			b.Fatal(err)
		}
	}
	var rows, bytes uint64
	if err := db.conn.QueryRow(b.Context(), "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'flows'").Scan(&rows, &bytes); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d rows, %.1f bytes each", rows, float64(bytes)/float64(rows))
	for name, r := range map[string]*ngfwv1.LogsRequest{
		"last50":             {},
		"last50/cidr+action": {Src: []string{"192.168.1.8/29"}, Action: []string{"drop"}},
		"last50/none":        {Dst: []string{"198.51.100.1"}},
		"last50/q":           {Q: "host-7"},
		"count":              {Src: []string{"192.168.1.8/29"}, Count: "exact"},
	} {
		b.Run(name, func(b *testing.B) {
			q, err := ParseLogs(r)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := db.Logs(b.Context(), org.OrgID, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("top10clients", func(b *testing.B) {
		q, err := ParseTop(&ngfwv1.TopRequest{})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, _, err := db.TopClients(b.Context(), org.OrgID, q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMatch is the filter on a live row.
func BenchmarkMatch(b *testing.B) {
	s := &stamp{orgID: "o", deviceID: "d", retention: 7}
	rows := decode(s, batch("e", 1, traffic(rand.New(rand.NewPCG(1, 2)), time.Now(), time.Minute, 1000)...), time.Now()).rows
	q, err := ParseLogs(&ngfwv1.LogsRequest{Action: []string{"drop"}, Src: []string{"192.168.1.0/24"}, Q: "host-7"})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		q.match(&rows[n%1000])
		n++
	}
}
