package analytics

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// tables are all that hold rows of routers: a batch goes into one of them.
var tables = []*table{&flows, &alerts, &queries}

// table is one definition from which the statements that make it are written.
type table struct {
	name    string
	columns []column
	indexes []string // and projections
	tail    string   // partition, order, TTL, settings
}

// column is a column of the table and where its values come from.
type column struct {
	name, kind, rest string
	values           func([]any) any // of the table's rows, a slice each: one that the driver takes whole
}

func col[R, T any](name, kind, rest string, value func(*R) T) column {
	return column{name, kind, rest, func(batches []any) any {
		n := 0
		for _, b := range batches {
			n += len(b.([]R))
		}
		out := make([]T, 0, n)
		for _, b := range batches {
			rows := b.([]R)
			for i := range rows {
				out = append(out, value(&rows[i]))
			}
		}
		return out
	}}
}

// keyed are the columns of every table of rows, before its own.
//
// Partitions are by the day of the batch's newest row, stamped on all its rows,
// and not by the day of each row: a batch over midnight must stay one part, as
// only a part is atomic. The order is that of the log down to the last column, so
// that a page is read without sorting.
func keyed[R any](k func(*R) *key, own ...column) []column {
	return append([]column{
		col("org_id", name, "", func(r *R) string { return k(r).orgID }),
		col("ts", "DateTime64(6, 'UTC')", steps, func(r *R) time.Time { return time.UnixMicro(k(r).time) }),
		col("day", "Date", plain, func(r *R) time.Time { return time.Unix(int64(k(r).day)*86400, 0).UTC() }),
		col("retention_days", "UInt16", plain, func(r *R) uint16 { return k(r).retention }),
		col("device_id", name, "", func(r *R) string { return k(r).deviceID }),
		col("epoch", name, "", func(r *R) string { return k(r).epoch }),
		col("origin", "UInt64", plain, func(r *R) uint64 { return k(r).origin }),
		col("batch", "UInt64", steps, func(r *R) uint64 { return k(r).number }),
		col("row", "UInt32", steps, func(r *R) uint32 { return k(r).n }),
	}, own...)
}

// keyedTail goes with them.
const keyedTail = `PARTITION BY (retention_days, day)
PRIMARY KEY (org_id, ts)
ORDER BY (org_id, ts, origin, batch, row)
TTL toDateTime(ts) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, merge_with_ttl_timeout = 3600`

// positions tells what is stored of a device. It is written in the same part as
// the rows, so the positions in it are always those of the table.
const positions = "PROJECTION positions (SELECT device_id, epoch, max(batch) GROUP BY device_id, epoch)"

const (
	name  = "LowCardinality(String)"
	small = "CODEC(T64, ZSTD(1))"
	plain = "CODEC(ZSTD(1))"
	steps = "CODEC(Delta, ZSTD(1))" // values that rise slowly
)

// wordsIndex knows the parts of words, for q.
const wordsIndex = "INDEX by_words words TYPE ngrambf_v1(3, 4096, 3, 0) GRANULARITY 4"

// flows holds one row for each flow event.
var flows = table{
	name: "flows",
	columns: keyed(func(r *row) *key { return &r.key },
		col("event", "Enum8('open' = 1, 'update' = 2, 'close' = 3, 'refused' = 4)", plain, func(r *row) int8 { return int8(r.event) }),
		col("action", "Enum8('accept' = 1, 'drop' = 2, 'reject' = 3)", plain, func(r *row) int8 { return int8(r.action) }),
		col("protocol", "UInt8", plain, func(r *row) uint8 { return r.protocol }),
		col("flow_id", "UInt64", plain, func(r *row) uint64 { return r.flowID }),
		col("source_ip", "IPv6", plain, func(r *row) [16]byte { return mapped(r.src) }),
		col("source_port", "UInt16", plain, func(r *row) uint16 { return r.srcPort }),
		col("destination_ip", "IPv6", plain, func(r *row) [16]byte { return mapped(r.dst) }),
		col("destination_port", "UInt16", plain, func(r *row) uint16 { return r.dstPort }),
		col("interface_in", name, "", func(r *row) string { return r.interfaceIn }),
		col("interface_out", name, "", func(r *row) string { return r.interfaceOut }),
		col("zone_from", name, "", func(r *row) string { return r.zoneFrom }),
		col("zone_to", name, "", func(r *row) string { return r.zoneTo }),
		col("rule_id", "Int64", small, func(r *row) int64 { return r.ruleID }),
		col("rule_name", name, "", func(r *row) string { return r.ruleName }),
		col("reason", name, "", func(r *row) string { return r.reason }),
		col("policy_revision", "Int64", small, func(r *row) int64 { return r.revision }),
		col("packets_sent", "UInt64", small, func(r *row) uint64 { return r.packetsSent }),
		col("packets_received", "UInt64", small, func(r *row) uint64 { return r.packetsReceived }),
		col("bytes_sent", "UInt64", small, func(r *row) uint64 { return r.bytesSent }),
		col("bytes_received", "UInt64", small, func(r *row) uint64 { return r.bytesReceived }),
		col("duration_us", "UInt64", small, func(r *row) uint64 { return r.duration }),
		col("count", "UInt32", small, func(r *row) uint32 { return r.count }),
		col("icmp_type", "UInt8", plain, func(r *row) uint8 { return r.icmpType }),
		col("icmp_code", "UInt8", plain, func(r *row) uint8 { return r.icmpCode }),
		// :: where there is no translation.
		col("nat_source_ip", "IPv6", plain, func(r *row) [16]byte { return mapped(r.natSrc) }),
		col("nat_source_port", "UInt16", plain, func(r *row) uint16 { return r.natSrcPort }),
		col("nat_destination_ip", "IPv6", plain, func(r *row) [16]byte { return mapped(r.natDst) }),
		col("nat_destination_port", "UInt16", plain, func(r *row) uint16 { return r.natDstPort }),
		col("source_mac", name, "", func(r *row) string { return r.mac }),
		col("app", name, "", func(r *row) string { return r.app }),
		col("geo", name, "", func(r *row) string { return r.geo }),
		col("threat", name, "", func(r *row) string { return r.threat }),
		col("hostname", name, "", func(r *row) string { return r.hostname }),
		col("words", name, "", func(r *row) string { return r.words }),
	),
	indexes: append([]string{
		"INDEX by_source source_ip TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_destination destination_ip TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_port destination_port TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_rule rule_id TYPE set(64) GRANULARITY 4",
		"INDEX by_app app TYPE set(64) GRANULARITY 4",
		"INDEX by_geo geo TYPE set(64) GRANULARITY 4",
		"INDEX by_threat threat TYPE set(64) GRANULARITY 4",
		wordsIndex,
		"INDEX by_action action TYPE set(4) GRANULARITY 4",
		"INDEX by_device device_id TYPE set(16) GRANULARITY 4",
		positions,
	}, projections(rollups)...),
	tail: keyedTail,
}

// create is the statement that makes the table.
func (t table) create() string { return t.createAs(t.name, "MergeTree") }

// createAs makes it under another name, with an engine of the MergeTree family.
func (t table) createAs(name, engine string) string {
	var lines []string
	for _, c := range t.columns {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", c.name, c.kind, c.rest)))
	}
	lines = append(lines, t.indexes...)
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (\n%s\n)\nENGINE = %s\n%s", name, strings.Join(lines, ",\n"), engine, t.tail)
}

// insert is the statement whose values the columns give.
func (t table) insert() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return fmt.Sprintf("INSERT INTO %s (%s)", t.name, strings.Join(names, ", "))
}

// mapped is an address as the table has it: IPv4 mapped into IPv6, none as ::.
func mapped(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}

// namesAndTypes spares the driver a question about the table before each
// insert. Dictionaries are left to the engine, which makes them ten times as
// fast as the driver does.
func (t table) namesAndTypes() []clickhouse.ColumnNameAndType {
	out := make([]clickhouse.ColumnNameAndType, len(t.columns))
	for i, c := range t.columns {
		out[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind}
		if c.kind == name {
			out[i].Type = "String"
		}
	}
	return out
}
