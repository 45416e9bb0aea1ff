package policy

import (
	"slices"
	"time"

	"ngfw.sh/internal/fault"
)

// Schedules are of local time, packets of UTC. An image holds the edges between
// the two: every change of its zone's offset within the years that a clock can be
// believed to show, so that it needs nobody to renew it. Windows are compared
// with the local minute of the week; the minutes at which any of them begins or
// ends are listed, so that a verdict's validity is known when it is given.

// Times outside of these are no time: a clock that shows the first days of 1970
// was never set, and offsets are known to the end of the century. A schedule is
// then judged as with a clock that is not synchronised.
const (
	clockFirst = 1 << 20    // Unix seconds
	clockLast  = 4102444799 // the end of 2099
)

const (
	maxOffsets    = 512
	offsetsALine  = 8  // pairs of Unix seconds and offset in seconds
	edgesALine    = 16 // minutes of the week
	minutesOfWeek = 7 * 1440
	noLocal       = ^uint32(0)

	// ValidAlways is the validity of verdicts that no schedule has a part in,
	// ValidUnset of those given without a clock.
	ValidAlways Validity = 0
	ValidUnset  Validity = 1 << 32
)

// Validity is when a verdict holds: from the lower 32 bits to before the upper
// ones, Unix seconds.
type Validity uint64

// clockTime is what schedules see of a moment: Unix seconds, or 0 for none.
func clockTime(t time.Time) int64 {
	if s := t.Unix(); s >= clockFirst && s <= clockLast {
		return s
	}
	return 0
}

// offset is what local time is ahead of UTC from a moment on.
type offset struct {
	from  int64
	ahead int
}

// offsetsOf lists a zone's offsets over the whole clock.
func offsetsOf(zone *time.Location) ([]offset, error) {
	var out []offset
	for t := time.Unix(clockFirst, 0).In(zone); ; {
		_, ahead := t.Zone()
		out = append(out, offset{t.Unix(), ahead})
		_, end := t.ZoneBounds()
		if end.IsZero() || end.Unix() > clockLast {
			break
		}
		if !end.After(t) { // so at the end of leap years: package time takes them to be a day shorter
			end = t.Add(24 * time.Hour)
		}
		t = end
	}
	out = slices.CompactFunc(out, func(a, b offset) bool { return a.ahead == b.ahead })
	if len(out) > maxOffsets {
		return nil, fault.Invalid("time_zone", "%s changes its offset %d times before 2100, schedules hold %d: use another zone", zone, len(out), maxOffsets)
	}
	return out, nil
}

// edges are the minutes of the week at which a window begins or is over.
func (w Window) edges() []uint32 {
	var out []uint32
	for day := range uint32(7) {
		if w.Days>>day&1 == 0 {
			continue
		}
		end := day*1440 + uint32(w.End) + 1
		if w.Start > w.End {
			end += 1440
		}
		out = append(out, day*1440+uint32(w.Start), end%minutesOfWeek)
	}
	return out
}

// writeClock lays out what the schedules among conditions need.
func (im *Image) writeClock(zone *time.Location, conditions []Condition) error {
	var edges []uint32
	windows := map[Window]bool{}
	for _, c := range conditions {
		if c.Scheduled && !windows[c.Window] {
			windows[c.Window] = true
			edges = append(edges, c.Window.edges()...)
		}
	}
	if len(edges) == 0 {
		return nil
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	offsets, err := offsetsOf(zone)
	if err != nil {
		return err
	}
	im.Offsets, im.OffsetCount = uint32(len(im.Lines)), uint32(len(offsets))
	for chunk := range slices.Chunk(offsets, offsetsALine) {
		var line Line
		for i, o := range chunk {
			line[2*i], line[2*i+1] = uint32(o.from), uint32(int32(o.ahead))
		}
		im.Lines = append(im.Lines, line)
	}
	im.Edges, im.EdgeCount = uint32(len(im.Lines)), uint32(len(edges))
	for chunk := range slices.Chunk(edges, edgesALine) {
		var line Line
		copy(line[:], chunk)
		im.Lines = append(im.Lines, line)
	}
	return nil
}

// Clock gives the local minute of the week at a moment, noLocal where there is no
// clock, and how long verdicts of that moment hold. bpf/lib/clock.h is its twin.
func (im *Image) Clock(now int64) (local uint32, valid Validity) {
	switch {
	case im.OffsetCount == 0:
		return noLocal, ValidAlways
	case now == 0:
		return noLocal, ValidUnset
	}
	low, high := uint32(0), im.OffsetCount // the last that is not after now
	for low+1 < high {
		at := (low + high) / 2
		if int64(im.offset(at, 0)) <= now {
			low = at
		} else {
			high = at
		}
	}
	first, last := int64(im.offset(low, 0)), int64(clockLast+1)
	if low+1 < im.OffsetCount {
		last = int64(im.offset(low+1, 0))
	}
	// 1 January 1970 was a Thursday.
	seconds := (now + int64(int32(im.offset(low, 1))) + 4*86400) % (minutesOfWeek * 60)
	minute, second := uint32(seconds/60), seconds%60
	at, n := uint32(0), im.EdgeCount // the first edge after minute
	for at < n {
		if middle := (at + n) / 2; im.edge(middle) <= minute {
			at = middle + 1
		} else {
			n = middle
		}
	}
	next, before := im.edge(0)+minutesOfWeek, im.edge(im.EdgeCount-1)
	if at < im.EdgeCount {
		next = im.edge(at)
	}
	if at > 0 {
		before = im.edge(at-1) + minutesOfWeek
	}
	first = max(first, now-second-60*(int64(minute)+minutesOfWeek-int64(before)))
	last = min(last, now-second+60*int64(next-minute))
	return minute, Validity(uint64(first) | uint64(last)<<32)
}

func (im *Image) offset(i, word uint32) uint32 {
	return im.Lines[im.Offsets+i/offsetsALine][i%offsetsALine*2+word]
}

func (im *Image) edge(i uint32) uint32 { return im.Lines[im.Edges+i/edgesALine][i%edgesALine] }
