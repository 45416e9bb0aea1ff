package analytics

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// maxBreakdown bounds the applications and countries of statistics.
const maxBreakdown = 100

// StatsQuery asks for statistics.
type StatsQuery struct {
	filter
	period  period
	step    time.Duration // 0: by the span
	compare bool

	RetentionDays int // as in LogQuery
}

// ParseStats reads the parameters of a request. Its errors name the parameter.
func ParseStats(r *ngfwv1.StatsRequest) (q StatsQuery, err error) {
	if q.filter, err = readFilter(r); err != nil {
		return q, err
	}
	if q.period, err = readPeriod(r.GetFrom(), r.GetTo(), r.GetPeriod()); err != nil {
		return q, err
	}
	if q.step, err = readStep(r.GetStep()); err != nil {
		return q, err
	}
	if q.compare, err = readCompare(r.GetCompare()); err != nil {
		return q, err
	}
	if q.period.from != 0 && q.period.to != 0 {
		_, err = stepOf(q.step, q.period.from, q.period.to)
	}
	return q, err
}

// Stats sums what passed and what did not, over time and by kind. Totals are
// those of over_time: buckets are aligned to the epoch, and the first and the
// last hold only what lies within the span.
func (db *DB) Stats(ctx context.Context, orgID string, q StatsQuery) (*ngfwv1.TrafficStats, Source, error) {
	if err := db.down(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("stats", db.now())

	s := scope{orgID, q.RetentionDays, db.now()}
	var err error
	if q.from, q.to, err = q.period.span(s.now); err != nil {
		return nil, "", err
	}
	step, err := stepOf(q.step, q.from, q.to)
	if err != nil {
		return nil, "", err
	}
	out := newStats(q.from, q.to, step)
	source, err := db.stats(ctx, s, q, step, func(r statsRow) { r.addTo(out) })
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(out.ByProtocol, func(a, b *ngfwv1.TrafficStats_Protocol) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Protocol, b.Protocol))
	})
	slices.SortFunc(out.ByApplication, func(a, b *ngfwv1.TrafficStats_Application) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.App, b.App))
	})
	slices.SortFunc(out.ByGeo, func(a, b *ngfwv1.TrafficStats_Country) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.CountryCode, b.CountryCode))
	})
	if q.compare {
		q.from, q.to = before(q.from, q.to)
		if q.from >= s.first() {
			earlier := &ngfwv1.TrafficStats{}
			if _, err := db.stats(ctx, s, q, 0, func(r statsRow) { r.addTotals(earlier) }); err != nil {
				return nil, "", err
			}
			out.Previous = &ngfwv1.TrafficStats_Previous{
				From: q.from / 1e6, To: q.to / 1e6,
				TotalBytes: earlier.TotalBytes, TotalPackets: earlier.TotalPackets, TotalConnections: earlier.TotalConnections,
				Accepted: earlier.Accepted, Dropped: earlier.Dropped, Rejected: earlier.Rejected, ThreatsBlocked: earlier.ThreatsBlocked,
			}
		}
	}
	return out, source, nil
}

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

// stats asks for all parts, one beside the other; step 0 asks for the totals
// alone. take is never called twice at a time.
func (db *DB) stats(ctx context.Context, s scope, q StatsQuery, step time.Duration, take func(statsRow)) (Source, error) {
	questions := []statsQuestion{overTime(q, step)}
	if step != 0 {
		questions = append(questions, byKind, byCountryCode)
	}
	var mu sync.Mutex // guards source and take
	source := Exact
	g, ctx := errgroup.WithContext(ctx)
	for _, question := range questions {
		g.Go(func() error {
			w := rowsOf(s)
			units := []unit{question.rollup.units}
			if q.narrow() || question.exact {
				units = nil
			}
			ps := pieces(w, q.filter, units)
			if len(ps) == 0 {
				return nil
			}
			sql := fmt.Sprintf(question.sql, union(ps, question.keys, question.sums))
			rows, err := db.conn.Query(planned(ctx, q.filter, question.rollup), sql, w.args()...)
			if err != nil {
				return err
			}
			defer rows.Close()
			mu.Lock()
			defer mu.Unlock()
			if sourceOf(ps) == Rollup {
				source = Rollup
			}
			for rows.Next() {
				var r statsRow
				if err := rows.Scan(&r.part, &r.bucket, &r.name, &r.bytes, &r.packets, &r.bytesIn, &r.bytesOut, &r.connections, &r.blocked); err != nil {
					return fmt.Errorf("read statistics: %w", err)
				}
				take(r)
			}
			return rows.Err()
		})
	}
	err := g.Wait()
	return source, db.explain(err)
}

// statsQuestion is one statement: sql around the union of pieces.
type statsQuestion struct {
	rollup rollup
	exact  bool // from rows, whatever there is
	keys   func(*unit) []string
	sums   []sum
	sql    string
}

func overTime(q StatsQuery, step time.Duration) statsQuestion {
	return statsQuestion{
		rollup: byMinute, exact: step%time.Minute != 0, // a minute is in more than one bucket
		keys: func(u *unit) []string {
			seconds := int64(step.Seconds())
			switch {
			case step == 0:
				return []string{"toInt64(0)", "action"}
			case u == nil:
				return []string{fmt.Sprintf("toInt64(intDiv(toUnixTimestamp64Micro(ts), %d) * %d)", step.Microseconds(), seconds), "action"}
			}
			return []string{fmt.Sprintf("toInt64(intDiv(toUnixTimestamp(%s), %d) * %[2]d)", u.key, seconds), "action"}
		},
		sums: sums(byMinute.sums...),
		sql:  fmt.Sprintf("SELECT toUInt8(%d), k0, toString(k1), sum(s0), sum(s1), sum(s2), sum(s3), sum(s4), sum(s5) FROM (%%s) GROUP BY k0, k1", inTime),
	}
}

var byKind = statsQuestion{
	rollup: byApplication,
	keys:   func(*unit) []string { return byApplication.keys },
	sums:   sums(byApplication.sums...),
	sql: fmt.Sprintf(`SELECT if(grouping(k0) = 0, toUInt8(%d), toUInt8(%d)) AS part, toInt64(0), if(part = %[1]d, toString(k0), toString(k1)) AS name,
	sum(s0) AS bytes, sum(s1), toUInt64(0), toUInt64(0), sum(s2), toUInt64(0)
FROM (%%s) GROUP BY GROUPING SETS ((k0), (k1)) HAVING part = %[1]d OR name != '' ORDER BY part, bytes DESC, name LIMIT %[3]d BY part`,
		inProtocols, inApplications, maxBreakdown),
}

var byCountryCode = statsQuestion{
	rollup: byCountry,
	keys:   func(*unit) []string { return byCountry.keys },
	sums:   sums(byCountry.sums...),
	sql: fmt.Sprintf(`SELECT toUInt8(%d), toInt64(0), toString(k0) AS name, sum(s0) AS bytes, toUInt64(0), toUInt64(0), toUInt64(0), sum(s1), toUInt64(0)
FROM (%%s) GROUP BY k0 HAVING name != '' ORDER BY bytes DESC, name LIMIT %d`, inCountries, maxBreakdown),
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
