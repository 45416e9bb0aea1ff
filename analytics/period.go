package analytics

import (
	"time"

	"ngfw.sh/internal/fault"
)

const (
	defaultPeriod = "24h"
	maxSpan       = 3660 * 24 * time.Hour // nothing is kept for longer
)

var periods = map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour}

// period is the span of time that a question names: from and to, or a length
// until now.
type period struct {
	from, to int64 // Unix microseconds, to not included; 0: open
	length   time.Duration
}

// readPeriod reads from, to and period.
func readPeriod(from, to, length string) (p period, err error) {
	if p.from, p.to, err = readSpan(from, to); err != nil {
		return p, err
	}
	if length == "" {
		p.length = periods[defaultPeriod]
	} else {
		if p.from != 0 || p.to != 0 {
			return p, fault.Invalid("period", "cannot go together with from and to")
		}
		var ok bool
		if p.length, ok = periods[length]; !ok {
			return p, fault.Invalid("period", "%.100q is not one of 1h, 24h, 7d, 30d", length)
		}
	}
	if p.from != 0 && p.to != 0 && p.to-p.from > maxSpan.Microseconds() {
		return p, fault.Invalid("from", "is more than ten years before to")
	}
	return p, nil
}

// asking is the moment that sums are asked at: the end of the minute that has
// begun. Questions of the same minute are the same, and most of their answer is
// remembered.
func asking(now time.Time) time.Time {
	return time.UnixMicro(minute.ceil(now.UnixMicro()))
}

// span is the period at a moment, both ends set; what is open ends there.
func (p period) span(now time.Time) (from, to int64, err error) {
	from, to = p.from, p.to
	if to == 0 {
		to = now.UnixMicro()
	}
	if from == 0 {
		from = max(to-p.length.Microseconds(), 0)
	}
	switch {
	case from >= to:
		return 0, 0, fault.Invalid("from", "lies in the future")
	case to-from > maxSpan.Microseconds():
		return 0, 0, fault.Invalid("from", "is more than ten years ago")
	}
	return from, to, nil
}

// before is the span of the same length that ends where this one begins.
func before(from, to int64) (int64, int64) { return from - (to - from), from }

// readCompare reads compare=previous.
func readCompare(s string) (bool, error) {
	switch s {
	case "":
		return false, nil
	case "previous":
		return true, nil
	}
	return false, fault.Invalid("compare", "%.100q is not previous", s)
}
