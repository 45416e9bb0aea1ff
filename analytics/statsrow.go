package analytics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// The parts of the answer.
const (
	inTime = iota
	inProtocols
	inApplications
	inCountries
)

// statsRow is a row of any part; what a part does not have is 0.
type statsRow struct {
	part                 uint8
	bucket               int64 // Unix seconds
	name                 string
	bytes, packets       uint64
	bytesIn, bytesOut    uint64
	connections, blocked uint64
}

// statsGroup tells rows of statistics apart.
type statsGroup struct {
	part   uint8
	bucket int64
	name   string
}

// statsGroups are in the order of their parts, the most bytes first.
var statsGroups = grouping[statsGroup, statsRow]{
	scan: scanStats,
	key:  func(r *statsRow) statsGroup { return statsGroup{r.part, r.bucket, r.name} },
	add: func(sum, r *statsRow) {
		sum.bytes, sum.packets, sum.connections, sum.blocked = sum.bytes+r.bytes, sum.packets+r.packets, sum.connections+r.connections, sum.blocked+r.blocked
		sum.bytesIn, sum.bytesOut = sum.bytesIn+r.bytesIn, sum.bytesOut+r.bytesOut
	},
	order: func(a, b *statsRow) int {
		return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(b.bytes, a.bytes), strings.Compare(a.name, b.name), cmp.Compare(a.bucket, b.bucket))
	},
}

func scanStats(rows driver.Rows) (r statsRow, err error) {
	err = rows.Scan(&r.part, &r.bucket, &r.name, &r.bytes, &r.packets, &r.bytesIn, &r.bytesOut, &r.connections, &r.blocked)
	return r, err
}

// newStats has every bucket of the span, without traffic.
func newStats(from, to int64, step time.Duration) *ngfwv1.TrafficStats {
	out := &ngfwv1.TrafficStats{From: from / 1e6, To: unit{length: time.Second}.ceil(to) / 1e6}
	first := unit{length: step}.floor(from)
	for i := range buckets(step, from, to) {
		out.OverTime = append(out.OverTime, &ngfwv1.TrafficStats_Bucket{Timestamp: (first + i*step.Microseconds()) / 1e6})
	}
	return out
}

func (r statsRow) addTo(out *ngfwv1.TrafficStats) {
	switch r.part {
	case inProtocols:
		n, _ := strconv.ParseUint(r.name, 10, 8) // of a UInt8 column
		out.ByProtocol = append(out.ByProtocol, &ngfwv1.TrafficStats_Protocol{
			Protocol: protocolName(uint8(n)), Bytes: signed(r.bytes), Packets: signed(r.packets),
		})
	case inApplications:
		out.ByApplication = append(out.ByApplication, &ngfwv1.TrafficStats_Application{
			App: r.name, Bytes: signed(r.bytes), Connections: signed(r.connections),
		})
	case inCountries:
		out.ByGeo = append(out.ByGeo, &ngfwv1.TrafficStats_Country{
			CountryCode: r.name, CountryName: countryName(r.name), Bytes: signed(r.bytes), Connections: signed(r.connections),
		})
	default:
		r.addTotals(out)
		i, ok := slices.BinarySearchFunc(out.OverTime, r.bucket, func(b *ngfwv1.TrafficStats_Bucket, at int64) int {
			return int(b.Timestamp - at)
		})
		if !ok {
			return
		}
		b := out.OverTime[i]
		b.BytesIn = plus(b.BytesIn, r.bytesIn)
		b.BytesOut = plus(b.BytesOut, r.bytesOut)
		b.Packets = plus(b.Packets, r.packets)
		switch r.name {
		case actionNames[actionAccept]:
			b.Accepted = plus(b.Accepted, r.connections)
		case actionNames[actionDrop]:
			b.Dropped = plus(b.Dropped, r.connections)
		case actionNames[actionReject]:
			b.Rejected = plus(b.Rejected, r.connections)
		}
	}
}

// addTotals adds a row of over_time to the totals.
func (r statsRow) addTotals(out *ngfwv1.TrafficStats) {
	if r.part != inTime {
		return
	}
	out.TotalBytes = plus(out.TotalBytes, r.bytes)
	out.TotalPackets = plus(out.TotalPackets, r.packets)
	out.TotalConnections = plus(out.TotalConnections, r.connections)
	out.ThreatsBlocked = plus(out.ThreatsBlocked, r.blocked)
	switch r.name {
	case actionNames[actionAccept]:
		out.Accepted = plus(out.Accepted, r.connections)
	case actionNames[actionDrop]:
		out.Dropped = plus(out.Dropped, r.connections)
	case actionNames[actionReject]:
		out.Rejected = plus(out.Rejected, r.connections)
	}
}
