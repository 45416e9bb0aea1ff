package analytics

import (
	"net/netip"
	"strings"
	"unicode"

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
	q.deviceID = r.GetDeviceId()
	var errs [11]error
	q.actions, errs[0] = list("action", r.GetAction(), enumeration[action](actionNames[:]))
	q.events, errs[1] = list("event", r.GetEvent(), enumeration[event](eventNames[:]))
	q.protocols, errs[2] = list("proto", r.GetProto(), readProtocol)
	q.sources, errs[3] = list("src", r.GetSrc(), readPrefix)
	q.targets, errs[4] = list("dst", r.GetDst(), readPrefix)
	q.ports, errs[5] = list("port", r.GetPort(), readPorts)
	q.apps, errs[6] = list("app", r.GetApp(), readText)
	q.geos, errs[7] = list("geo", r.GetGeo(), readCountry)
	q.threats, errs[8] = list("threat", r.GetThreat(), readText)
	q.rules, errs[9] = list("rule_id", r.GetRuleId(), readRule)
	q.from, q.to, errs[10] = readSpan(r.GetFrom(), r.GetTo())
	for _, err := range errs {
		if err != nil {
			return LogQuery{}, err
		}
	}
	if err := q.readSearch(r.GetQ()); err != nil {
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

func (f *filter) readSearch(text string) error {
	if text == "" {
		return nil
	}
	if len(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
		return fault.Invalid("q", "is too long or holds control characters")
	}
	f.search = strings.ToLower(text)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		f.address = a.Unmap()
	}
	return nil
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
