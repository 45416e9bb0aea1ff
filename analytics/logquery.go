package analytics

import (
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	maxOffset    = 10_000
	exactTotal   = 10_000 // beyond it the total is told only when asked for
)

// LogQuery is a question to the log, or the filter of a live stream, which
// leaves paging aside.
type LogQuery struct {
	filter
	limit, offset int
	cursor        *place
	countAll      bool

	// RetentionDays hides rows older than that, 0 none: what the organisation's
	// plan allows now. Rows are hidden by the retention they were stored with
	// in any case.
	RetentionDays int
}

// ParseLogs reads the parameters of a request. Its errors name the parameter.
func ParseLogs(r *ngfwv1.LogsRequest) (LogQuery, error) {
	q := LogQuery{limit: defaultLimit, offset: int(r.GetOffset())}
	var err error
	if q.filter, err = readFilter(r); err != nil {
		return LogQuery{}, err
	}
	if q.from, q.to, err = readSpan(r.GetFrom(), r.GetTo()); err != nil {
		return LogQuery{}, err
	}
	if r.Limit != nil {
		q.limit = int(*r.Limit)
	}
	if q.limit < 1 || q.limit > maxLimit {
		return LogQuery{}, fault.Invalid("limit", "must be from 1 to %d", maxLimit)
	}
	if q.offset < 0 || q.offset > maxOffset {
		return LogQuery{}, fault.Invalid("offset", "must be from 0 to %d: page on with cursor", maxOffset)
	}
	if c := r.GetCursor(); c != "" {
		p, err := parsePlace(c)
		if err != nil {
			return LogQuery{}, err
		}
		if r.Offset != nil && q.offset != 0 {
			return LogQuery{}, fault.Invalid("offset", "cannot go together with cursor")
		}
		q.cursor = &p
	}
	switch r.GetCount() {
	case "":
	case "exact":
		q.countAll = true
	default:
		return LogQuery{}, fault.Invalid("count", "%.100q is not exact", r.GetCount())
	}
	return q, nil
}

// readSpan reads from and to.
func readSpan(from, to string) (lo, hi int64, err error) {
	if lo, err = readTime("from", from); err != nil {
		return 0, 0, err
	}
	if hi, err = readTime("to", to); err != nil {
		return 0, 0, err
	}
	if lo != 0 && hi != 0 && lo >= hi {
		return 0, 0, fault.Invalid("to", "must be after from")
	}
	return lo, hi, nil
}
