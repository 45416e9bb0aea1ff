package analytics

import (
	"strings"
	"time"
)

// unit is a length of time that rows are rolled up to, and the expression that
// gives the start of a row's.
type unit struct {
	length time.Duration
	key    string
	rows   bool // nothing is rolled up to it: whole ones are read from rows
}

var (
	minute  = unit{length: time.Minute, key: "toStartOfMinute(ts)"}
	minutes = unit{length: 5 * time.Minute, key: "toStartOfFiveMinutes(ts)"}
	hour    = unit{length: time.Hour, key: "toStartOfHour(ts)"}
	quarter = unit{length: 6 * time.Hour, key: "toStartOfInterval(ts, INTERVAL 6 HOUR)"}
	day     = unit{length: 24 * time.Hour, key: "toStartOfDay(ts)"}

	// What answers are remembered by: five minutes of rows, and of a roll-up per
	// minute.
	minutesOfRows    = unit{length: minutes.length, key: "ts", rows: true}
	minutesOfMinutes = unit{length: minutes.length, key: minute.key}
)

func (u unit) floor(micros int64) int64 { return micros - micros%u.length.Microseconds() }

func (u unit) ceil(micros int64) int64 { return u.floor(micros + u.length.Microseconds() - 1) }

// rollup is the sums of flows per unit of time, organisation, device and some
// keys: a projection, so it lies in the same part as its rows. Part and roll-up
// are stored, merged and dropped as one, and nothing can make them differ: no
// crash between two tables, no view that failed, no other process.
//
// A question gets it by grouping by the same keys over the same expressions; the
// engine then reads the projection, and the rows themselves where a part has
// none (one that is older than the projection and not rewritten yet).
type rollup struct {
	name  string
	units unit
	keys  []string
	sums  []string
}

// The endpoint that is not in WAN, as translated; :: for what passes from WAN to
// WAN.
const clientOf = "if(zone_from = '" + wan + "', if(zone_to = '" + wan + "', toIPv6('::'), " +
	"if(nat_destination_ip != toIPv6('::'), nat_destination_ip, destination_ip)), source_ip)"

// wan is the zone whose endpoints are not clients.
const wan = "WAN"

// What is summed. A flow is one connection: it is counted where it was opened or
// refused.
const (
	sumBytes       = "sum(bytes_sent + bytes_received)"
	sumPackets     = "sum(packets_sent + packets_received)"
	sumIn          = "sum(if(zone_from = '" + wan + "', bytes_sent, 0) + if(zone_to = '" + wan + "', bytes_received, 0))"
	sumOut         = "sum(if(zone_to = '" + wan + "', bytes_sent, 0) + if(zone_from = '" + wan + "', bytes_received, 0))"
	sumRx          = "sum(if(zone_from = '" + wan + "', bytes_sent, bytes_received))"
	sumTx          = "sum(if(zone_from = '" + wan + "', bytes_received, bytes_sent))"
	sumConnections = "sumIf(count, event IN ('open', 'refused'))"
	sumBlocked     = "sumIf(count, threat != '' AND action != 'accept' AND event IN ('refused', 'close'))"
	// The newest that is known, and its time, so that the newest of those is, too.
	hasName  = "hostname != ''"
	lastName = "argMaxIf(hostname, ts, " + hasName + ")"
	nameTime = "maxIf(ts, " + hasName + ")"
	hasMAC   = "source_mac != '' AND zone_from != '" + wan + "'"
	lastMAC  = "argMaxIf(source_mac, ts, " + hasMAC + ")"
	macTime  = "maxIf(ts, " + hasMAC + ")"
	lastTime = "max(ts)"

	sumRows = "count()"

	// Of the destination, if it is the outer address: a code's two letters as a
	// number, which costs a tenth of a text.
	outerCountry = "max(if(zone_to = '" + wan + "', reinterpretAsUInt16(geo), 0))"
)

var (
	byMinute = rollup{"by_minute", minute, []string{"action"}, []string{sumBytes, sumPackets, sumIn, sumOut, sumConnections, sumBlocked}}
	// What has few values is small enough in steps of five minutes, so that little
	// is left to read from rows where a span begins and ends.
	byApplication   = rollup{"by_application_5m", minutes, []string{"protocol", "app"}, []string{sumBytes, sumPackets, sumConnections, sumRows}}
	byCountry       = rollup{"by_country_5m", minutes, []string{"geo"}, []string{sumBytes, sumConnections, sumRows}}
	byVerdict       = rollup{"by_verdict_5m", minutes, []string{"action", "rule_id", "rule_name", "threat"}, []string{sumBytes, sumPackets, sumConnections, sumBlocked, lastTime, sumRows}}
	byClient        = rollup{"by_client", hour, []string{clientOf}, []string{sumRx, sumTx, sumConnections, lastName, nameTime, lastMAC, macTime}}
	byClientMinutes = rollup{"by_client_5m", minutes, byClient.keys, byClient.sums}
	byTarget        = rollup{"by_destination", hour, []string{"destination_ip"}, []string{sumBytes, sumConnections, outerCountry}}
	byTargetQuarter = rollup{"by_destination_6h", quarter, byTarget.keys, byTarget.sums}
	byTargetPerDay  = rollup{"by_destination_per_day", day, byTarget.keys, byTarget.sums}
	rollups         = []rollup{byMinute, byApplication, byCountry, byVerdict, byClient, byClientMinutes, byTarget, byTargetQuarter, byTargetPerDay}
	rollupKeys      = []string{"retention_days", "day", "device_id"} // besides organisation and time

)

// projection is the roll-up's definition within the table's.
func (r rollup) projection() string {
	keys := append([]string{"org_id", r.units.key}, rollupKeys...)
	keys = append(keys, r.keys...)
	return "PROJECTION " + r.name + " (SELECT " + strings.Join(append(keys[:len(keys):len(keys)], r.sums...), ", ") +
		" GROUP BY " + strings.Join(keys, ", ") + ")"
}

func projections(all []rollup) []string {
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = r.projection()
	}
	return out
}
