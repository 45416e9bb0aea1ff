package analytics

import (
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// LogQuery is a question to the log, or the filter of a live stream, which
// leaves paging aside.
type LogQuery struct {
	filter
	page

	// RetentionDays hides rows older than that, 0 none: what the organisation's
	// plan allows now. Rows are hidden by the retention they were stored with
	// in any case.
	RetentionDays int
}

// ParseLogs reads the parameters of a request. Its errors name the parameter.
func ParseLogs(r *ngfwv1.LogsRequest) (q LogQuery, err error) {
	if q.filter, err = readFilter(r); err != nil {
		return LogQuery{}, err
	}
	if q.from, q.to, err = readSpan(r.GetFrom(), r.GetTo()); err != nil {
		return LogQuery{}, err
	}
	if q.page, err = readPage(r, r.Limit); err != nil {
		return LogQuery{}, err
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
