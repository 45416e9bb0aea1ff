package analytics

import (
	"fmt"
	"strings"
	"time"
)

// judged are the reasons of rows that a policy decided about. What was refused for
// another reason (no state, malformed) is so under every policy. What the matcher
// has cut off had passed the policy.
const (
	judged  = "(action = 'accept' OR reason IN ('rule', 'policy', 'default', 'no_zone', 'threat') OR startsWith(reason, 'nat:'))"
	refused = "action != 'accept' AND reason != 'threat'"
)

// recordedStatement is one question for grouped flows.
type recordedStatement struct {
	text string
	args []any
}

// Services of the flows that are asked for.
const (
	everyService = true
	withoutICMP  = false
)

// statement asks for the flows of the device in that time which are narrowed down
// further. Every column read costs, most of all of those flows that are many: what
// nobody asks is not read, and told as if it were not there.
func (q *RecordedQuery) statement(s scope, icmp bool, from string, narrow func(*where)) recordedStatement {
	w := rowsOf(s)
	w.and("device_id = " + w.bind("String", q.DeviceID))
	w.and("ts >= " + w.bindTime(q.From.UnixMicro()))
	w.and("ts < " + w.bindTime(q.To.UnixMicro()))
	w.and("day >= " + w.bind("Date", q.From.UTC().Format(time.DateOnly)))
	w.and(judged)
	narrow(w)

	columns := []string{"interface_in", "interface_out", "source_ip", "destination_ip", "destination_port", "protocol"}
	groups := columns[:len(columns):len(columns)]
	ask := func(wanted bool, name, expression, otherwise string) {
		if !wanted {
			columns = append(columns, otherwise)
			return
		}
		groups = append(groups, name)
		if expression != "" {
			name = expression + " AS " + name
		}
		columns = append(columns, name)
	}
	ask(icmp, "icmp_type", "", "toUInt8(0)")
	ask(icmp, "icmp_code", "", "toUInt8(0)")
	ask(q.MACs, "source_mac", "", "''")
	ask(true, "refused", refused, "")
	ask(q.Minutes, "minute", "toStartOfMinute(ts)", "toDateTime(0, 'UTC')")
	return recordedStatement{fmt.Sprintf(`SELECT %s,
		max(app), max(hostname), sum(bytes_sent + bytes_received), sumIf(count, event IN ('open', 'refused')), max(count),
		(max((ts, batch, row, origin)) AS newest).1, newest.4, newest.2, newest.3, count()
		FROM %s WHERE %s
		GROUP BY %s`, strings.Join(columns, ", "), from, w, strings.Join(groups, ", ")), w.args()}
}
