package analytics

import (
	"fmt"
	"strings"
	"time"
)

// statsQuestion is one statement: sql around the union of pieces.
type statsQuestion struct {
	rollup rollup
	unit   unit // that its answers are remembered by
	exact  bool // from rows, whatever there is
	keys   func(*unit) []string
	sums   []sum
	sql    string
	most   string // how many rows there are of each part; "": all
	parts  []uint8
}

func overTime(q StatsQuery, step time.Duration) statsQuestion {
	return statsQuestion{
		rollup: byMinute, unit: minutesOfMinutes, exact: step%time.Minute != 0, // a minute is in more than one bucket
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
		parts: []uint8{inTime}, sums: sums(byMinute.sums...),
		sql: fmt.Sprintf("SELECT toUInt8(%d), k0, toString(k1), sum(s0), sum(s1), sum(s2), sum(s3), sum(s4), sum(s5) FROM (%%s) GROUP BY k0, k1", inTime),
	}
}

var byKind = statsQuestion{
	rollup: byApplication, unit: minutes,
	parts: []uint8{inProtocols, inApplications}, keys: func(*unit) []string { return byApplication.keys },
	sums: sums(byApplication.sums[:3]...),
	sql: fmt.Sprintf(`SELECT if(grouping(k0) = 0, toUInt8(%d), toUInt8(%d)) AS part, toInt64(0), if(part = %[1]d, toString(k0), toString(k1)) AS name,
	sum(s0) AS bytes, sum(s1), toUInt64(0), toUInt64(0), sum(s2), toUInt64(0)
FROM (%%s) GROUP BY GROUPING SETS ((k0), (k1)) HAVING part = %[1]d OR name != ''`, inProtocols, inApplications),
	most: fmt.Sprintf(" ORDER BY part, bytes DESC, name LIMIT %d BY part", maxBreakdown),
}

var byCountryCode = statsQuestion{
	rollup: byCountry, unit: minutes,
	parts: []uint8{inCountries}, keys: func(*unit) []string { return byCountry.keys },
	sums: sums(byCountry.sums[:2]...),
	sql: fmt.Sprintf(`SELECT toUInt8(%d), toInt64(0), toString(k0) AS name, sum(s0) AS bytes, toUInt64(0), toUInt64(0), toUInt64(0), sum(s1), toUInt64(0)
FROM (%%s) GROUP BY k0 HAVING name != ''`, inCountries),
	most: fmt.Sprintf(" ORDER BY bytes DESC, name LIMIT %d", maxBreakdown),
}

// statsOfRows asks for all parts of rows at once: what the statements cost is
// mostly that they are three.
func statsOfRows(ps []piece, time statsQuestion) string {
	alternatives := make([]string, len(ps))
	for i, p := range ps {
		alternatives[i] = "(" + p.where.String() + ")"
	}
	return fmt.Sprintf(`SELECT multiIf(grouping(k0) = 0, toUInt8(%d), grouping(protocol) = 0, toUInt8(%d), grouping(app) = 0, toUInt8(%d), toUInt8(%d)) AS part, k0,
	multiIf(part = %[1]d, toString(k1), part = %[2]d, toString(protocol), part = %[3]d, toString(app), toString(geo)) AS name, %[5]s
FROM (SELECT *, %[6]s AS k0, action AS k1 FROM flows WHERE %[7]s) GROUP BY GROUPING SETS ((k0, k1), (protocol), (app), (geo)) HAVING part <= %[2]d OR name != ''`,
		inTime, inProtocols, inApplications, inCountries,
		strings.Join([]string{sumBytes, sumPackets, sumIn, sumOut, sumConnections, sumBlocked}, ", "), time.keys(nil)[0], strings.Join(alternatives, " OR "))
}
