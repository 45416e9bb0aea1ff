package analytics

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ngfw.sh/internal/fault"
)

// RecordedQuery asks for what a policy would judge of the flows of a device.
type RecordedQuery struct {
	DeviceID string
	From, To time.Time // To not included
	// Minutes tells flows of different minutes apart.
	Minutes       bool
	RetentionDays int // as in LogQuery
	// Areas: only flows of these, and those without their interfaces; nil: all.
	Areas []Area
}

// Area is flows of some interfaces, addresses and a service.
type Area struct {
	AnyInterface                      bool // else In and Out name them
	In, Out                           []string
	SourceFirst, SourceLast           netip.Addr // invalid: any
	DestinationFirst, DestinationLast netip.Addr
	Protocol                          int // -1: any
	PortLo, PortHi                    uint16
}

// areas adds "is in one of the areas, or lacks an interface".
func (w *where) areas(list []Area) {
	alternatives := []string{"interface_in = ''", "interface_out = ''"}
	for _, a := range list {
		terms := []string{"1"}
		switch {
		case a.AnyInterface:
		case len(a.In) == 0 || len(a.Out) == 0:
			continue
		default:
			terms = []string{"interface_in IN " + w.bind("Array(String)", a.In), "interface_out IN " + w.bind("Array(String)", a.Out)}
		}
		for _, side := range []struct {
			column      string
			first, last netip.Addr
		}{{"source_ip", a.SourceFirst, a.SourceLast}, {"destination_ip", a.DestinationFirst, a.DestinationLast}} {
			if side.first.IsValid() {
				terms = append(terms, side.column+" >= "+w.bindAddress(side.first), side.column+" <= "+w.bindAddress(side.last))
			}
		}
		if a.Protocol >= 0 {
			terms = append(terms, "protocol = "+w.bind("UInt8", a.Protocol))
		}
		if a.PortLo > 0 || a.PortHi < 65535 {
			terms = append(terms, "destination_port BETWEEN "+w.bind("UInt16", a.PortLo)+" AND "+w.bind("UInt16", a.PortHi))
		}
		alternatives = append(alternatives, "("+strings.Join(terms, " AND ")+")")
	}
	w.andAny(alternatives)
}

// Recorded is flows that were alike in all that a policy asks of the first packet
// of one.
type Recorded struct {
	InterfaceIn, InterfaceOut string
	Source, Destination       netip.Addr // as on the wire: NAT rules are part of a policy
	Protocol                  uint8
	Port                      uint16 // of the destination, as on the wire
	ICMPType, ICMPCode        uint8
	MAC                       string // "" where it is not known
	Minute                    time.Time
	Refused                   bool

	App, Hostname string // of one of the flows that has one
	Bytes         uint64
	Connections   uint64
	MostRepeats   uint32 // the highest count of a row
	LastSeen      time.Time
	Example       string // id of the newest row
	Rows          uint64
}

// judged are the reasons of rows that a policy decided about. What was refused for
// another reason (no state, malformed) is so under every policy. What the matcher
// has cut off had passed the policy.
const (
	judged  = "(action = 'accept' OR reason IN ('rule', 'policy', 'default', 'no_zone', 'threat') OR startsWith(reason, 'nat:'))"
	refused = "action != 'accept' AND reason != 'threat'"
)

// recordedMemory is from where grouping goes to disk.
const recordedMemory = 512 << 20

// Recorded calls each for every kind of flow, in no order. An error of each ends
// it. Rows are grouped by the database, so memory here is that of one.
func (db *DB) Recorded(ctx context.Context, orgID string, q RecordedQuery, each func(Recorded) error) error {
	if err := db.down(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, db.cfg.ExportTimeout, errRecordedTime)
	defer cancel()
	defer db.metrics.query("recorded", db.now())

	w := rowsOf(scope{orgID, q.RetentionDays, db.now()})
	w.and("device_id = " + w.bind("String", q.DeviceID))
	w.and("ts >= " + w.bindTime(q.From.UnixMicro()))
	w.and("ts < " + w.bindTime(q.To.UnixMicro()))
	w.and("day >= " + w.bind("Date", q.From.UTC().Format(time.DateOnly)))
	w.and(judged)
	if q.Areas != nil {
		w.areas(q.Areas)
	}
	minute := "toDateTime(0, 'UTC')"
	if q.Minutes {
		minute = "toStartOfMinute(ts)"
	}
	// Few columns tell most flows apart; those with a dictionary are cheap to group by.
	statement := fmt.Sprintf(`SELECT interface_in, interface_out, source_ip,
		destination_ip, destination_port,
		protocol, icmp_type, icmp_code, source_mac, %s AS refused, %s AS minute,
		max(app), max(hostname), sum(bytes_sent + bytes_received), sumIf(count, event IN ('open', 'refused')),
		max(count), max(ts), argMax(origin, (ts, batch, row)), argMax(batch, (ts, batch, row)), argMax(row, (ts, batch, row)), count()
		FROM flows WHERE %s
		GROUP BY interface_in, interface_out, source_ip, destination_ip, destination_port, protocol, icmp_type, icmp_code, source_mac, refused, minute`, refused, minute, w)
	rows, err := db.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"max_bytes_before_external_group_by": recordedMemory,
	})), statement, w.args()...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRecorded(rows)
		if err != nil {
			return fmt.Errorf("read grouped flows: %w", err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		if errors.Is(context.Cause(ctx), errRecordedTime) {
			return errRecordedTime
		}
		return db.explain(err)
	}
	return nil
}

var errRecordedTime = fault.New(fault.Unavailable, "reading the record took too long: ask about a shorter time")

func scanRecorded(s scanner) (Recorded, error) {
	var (
		r           Recorded
		newest      = key{stamp: &stamp{}}
		src, target netip.Addr
	)
	err := s.Scan(&r.InterfaceIn, &r.InterfaceOut, &src, &target, &r.Port, &r.Protocol, &r.ICMPType, &r.ICMPCode,
		&r.MAC, &r.Refused, &r.Minute, &r.App, &r.Hostname, &r.Bytes, &r.Connections, &r.MostRepeats, &r.LastSeen,
		&newest.origin, &newest.number, &newest.n, &r.Rows)
	r.Source, r.Destination = src.Unmap(), target.Unmap()
	r.Example = newest.id()
	return r, err
}
