package analytics

import (
	"iter"
	"math"
	"net/netip"
	"time"

	"ngfw.sh/internal/flowbatch"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	futureTolerance = 5 * time.Minute // a router's clock may be that wrong
	maxText         = 1024            // bytes of a name in a row
	maxTexts        = 2048            // of all names of a row: live streams keep many rows
)

// decoded is a batch made ready to store.
type decoded[R any] struct {
	rows     []R
	rejected map[string]int // reason → rows set aside
	clamped  int            // times in the future
	shifted  int            // rows from before the router's clock was set
}

// decode turns a batch's flow events into rows.
func decode(s *stamp, b *ngfwv1.FlowBatch, now time.Time) decoded[row] {
	n := namesPool.Get().(*names)
	defer namesPool.Put(n)
	return decodeAll(s, flowbatch.Events(b, &n.Names), flowbatch.Flows(b), now, func(r *row) *key { return &r.key },
		func(r *row, e *ngfwv1.FlowEvent) string { return r.decode(e, n) })
}

// timed is an event of any kind, nil included.
type timed interface {
	GetTimeNs() int64
	GetClockUnset() bool
}

// decodeAll turns so many events into rows. One that means nothing is set aside
// with its reason, and the others live.
//
// Times that a router stamped before its clock was set are shifted: the newest of
// them is taken to be of now.
func decodeAll[R any, E timed](s *stamp, events iter.Seq[E], many int, now time.Time, keyOf func(*R) *key, read func(*R, E) string) decoded[R] {
	d := decoded[R]{rows: make([]R, 0, many), rejected: map[string]int{}}
	var unset []int // of rows, those stamped before the clock was set
	newestUnset := int64(math.MinInt64)
	n := uint32(0)
	for e := range events {
		at, early := e.GetTimeNs(), e.GetClockUnset()
		if early {
			newestUnset = max(newestUnset, at/1000)
		}
		d.rows = d.rows[:len(d.rows)+1]
		r := &d.rows[len(d.rows)-1]
		reason := read(r, e)
		if reason == "" && at <= 0 && !early {
			reason = "time"
		}
		if reason != "" {
			var none R
			*r = none // of a row that will take its place
			d.rows = d.rows[:len(d.rows)-1]
			d.rejected[reason]++
		} else {
			k := keyOf(r)
			k.stamp, k.n, k.time = s, n, at/1000
			if early {
				unset = append(unset, len(d.rows)-1)
			}
		}
		n++
	}
	for _, i := range unset {
		keyOf(&d.rows[i]).time += now.UnixMicro() - newestUnset
	}
	d.shifted = len(unset)
	oldest := now.Add(-time.Duration(s.retention) * 24 * time.Hour).UnixMicro()
	newest := now.Add(futureTolerance).UnixMicro()
	kept := d.rows[:0]
	for i := range d.rows {
		k := keyOf(&d.rows[i])
		if k.time > newest {
			k.time = newest
			d.clamped++
		}
		if k.time < oldest {
			d.rejected["past_retention"]++
			continue
		}
		s.day, s.newest = max(s.day, dayOf(k.time)), max(s.newest, k.time)
		if kept = kept[:len(kept)+1]; len(kept)-1 != i {
			kept[len(kept)-1] = d.rows[i]
		}
	}
	clear(d.rows[len(kept):])
	d.rows = kept
	return d
}

// decode fills the row and returns "" or why the event means nothing.
func (r *row) decode(e *ngfwv1.FlowEvent, n *names) (reason string) {
	if e == nil {
		return "empty"
	}
	switch e.Kind {
	case ngfwv1.EventKind_EVENT_KIND_OPEN, ngfwv1.EventKind_EVENT_KIND_UPDATE,
		ngfwv1.EventKind_EVENT_KIND_CLOSE, ngfwv1.EventKind_EVENT_KIND_REFUSED:
		r.event = event(e.Kind)
	default:
		return "kind"
	}
	switch e.Action {
	case ngfwv1.Verdict_VERDICT_ACCEPT, ngfwv1.Verdict_VERDICT_DROP, ngfwv1.Verdict_VERDICT_REJECT:
		r.action = action(e.Action)
	default:
		return "action"
	}
	var ok, ok2 bool
	if r.src, ok = address(e.SourceIp); !ok || !r.src.IsValid() {
		return "source_ip"
	}
	if r.dst, ok = address(e.DestinationIp); !ok || !r.dst.IsValid() || r.dst.Is4() != r.src.Is4() {
		return "destination_ip"
	}
	r.natSrc, ok = address(e.NatSourceIp)
	r.natDst, ok2 = address(e.NatDestinationIp)
	if !ok || !ok2 {
		return "nat"
	}
	if max(e.SourcePort, e.DestinationPort, e.NatSourcePort, e.NatDestinationPort) > math.MaxUint16 {
		return "port"
	}
	r.srcPort, r.dstPort = uint16(e.SourcePort), uint16(e.DestinationPort)
	r.natSrcPort, r.natDstPort = uint16(e.NatSourcePort), uint16(e.NatDestinationPort)
	if max(e.Protocol, e.IcmpType, e.IcmpCode) > math.MaxUint8 {
		return "protocol"
	}
	r.protocol, r.icmpType, r.icmpCode = uint8(e.Protocol), uint8(e.IcmpType), uint8(e.IcmpCode)
	// The API shows sums of two as signed 64-bit integers.
	if max(e.PacketsSent, e.PacketsReceived, e.BytesSent, e.BytesReceived) > math.MaxInt64/2 || e.DurationNs < 0 {
		return "counter"
	}
	r.packetsSent, r.packetsReceived = e.PacketsSent, e.PacketsReceived
	r.bytesSent, r.bytesReceived = e.BytesSent, e.BytesReceived
	r.duration, r.count = uint64(e.DurationNs/1000), max(e.Count, 1)
	if e.RuleId < 0 || e.PolicyRevision < 0 {
		return "rule"
	}
	r.ruleID, r.revision = e.RuleId, e.PolicyRevision
	switch len(e.SourceMac) {
	case 0:
	case 6:
		r.mac = n.mac([6]byte(e.SourceMac))
	default:
		return "source_mac"
	}
	texts := 0
	for _, t := range []string{e.InterfaceIn, e.InterfaceOut, e.ZoneFrom, e.ZoneTo, e.RuleName, e.Reason, e.App, e.Geo, e.Threat, e.Hostname} {
		if texts += len(t); len(t) > maxText || texts > maxTexts {
			return "text"
		}
	}
	r.interfaceIn, r.interfaceOut, r.zoneFrom, r.zoneTo = e.InterfaceIn, e.InterfaceOut, e.ZoneFrom, e.ZoneTo
	r.ruleName, r.reason = e.RuleName, e.Reason
	r.app, r.threat, r.hostname = e.App, e.Threat, e.Hostname
	if code, err := readCountry(e.Geo); err == nil { // or not known
		r.geo = code
	}
	r.words = n.words(r.hostname, r.app, r.ruleName)
	r.flowID = e.FlowId
	return ""
}

// address reads 4 or 16 bytes; none are the invalid address.
func address(b []byte) (netip.Addr, bool) {
	if len(b) == 0 {
		return netip.Addr{}, true
	}
	a, ok := netip.AddrFromSlice(b)
	return a.Unmap(), ok
}
