package analytics

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ngfw.sh/internal/fault"
)

// RecordedQuery asks for what a policy would judge of the flows of a device.
type RecordedQuery struct {
	DeviceID string
	From, To time.Time // To not included
	// Minutes tells flows of different minutes apart, MACs those of different senders;
	// without them neither is told.
	Minutes, MACs bool
	RetentionDays int // as in LogQuery
	// Areas: only flows of these, and those without their interfaces; nil: all.
	Areas []Area
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

// Recorded calls each for every kind of flow, in no order. An error of each ends
// it. Rows are grouped by the database, so memory here is that of one.
//
// Rows without an interface are asked for by themselves: there are hardly any, and
// the question for the others then has conditions that skip most of what is stored.
func (db *DB) Recorded(ctx context.Context, orgID string, q RecordedQuery, each func(Recorded) error) error {
	if err := db.down(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, db.cfg.ExportTimeout, errRecordedTime)
	defer cancel()
	defer db.metrics.query("recorded", db.now())

	s := scope{orgID, q.RetentionDays, db.now()}
	if q.Areas == nil {
		return db.recorded(ctx, q.statement(s, everyService, "flows", func(*where) {}), each)
	}
	if list := areas(q.Areas).possible(); len(list) > 0 {
		if err := db.recorded(ctx, q.statement(s, list.icmp(), "flows", list.narrow), each); err != nil {
			return err
		}
	}
	return db.recorded(ctx, q.statement(s, everyService, "flows PREWHERE interface_in = '' OR interface_out = ''", func(*where) {}), each)
}

const (
	recordedMemory = 512 << 20 // from where grouping goes to disk
	// What one of the engine's threads may count on: by itself it wants a GiB for
	// each after the first.
	recordedShare = 128 << 20
	// Twenty columns of a row make the engine's own block of 1 MiB one of few rows,
	// and half of the work that of blocks.
	recordedBlock, recordedBlockRows = 32 << 20, 1 << 18
)

func (db *DB) recorded(ctx context.Context, s recordedStatement, each func(Recorded) error) error {
	settings := clickhouse.Settings{
		"max_bytes_before_external_group_by": recordedMemory,
		"preferred_block_size_bytes":         recordedBlock,
		"max_block_size":                     recordedBlockRows,
		"optimize_use_projections":           0, // none can answer: looking for one takes longer than a few rows
	}
	if db.cfg.Engine == Embedded { // of which the version is known
		settings["max_threads_min_free_memory_per_thread"] = recordedShare
	}
	rows, err := db.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), s.text, s.args...)
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
