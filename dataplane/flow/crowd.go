package flow

import (
	"time"

	"ngfw.sh/policy"
)

// Refused packets come as fast as anybody outside likes to send them, each with
// a port or source of its own. Beyond a rate their rows are put together, so
// that a flood neither fills the spool nor drives other rows out of it.
const (
	refusalRate  = 1000 // rows a second
	refusalBurst = 10_000
)

// crowd puts refusals together that are too many for rows of their own. Its
// zero value is ready. The reader's mutex guards it.
type crowd struct {
	tokens float64
	filled time.Time
	rows   map[crowdKey]*Event
}

// crowdKey is what refusals of one row have in common; addresses and ports are
// those of the last.
type crowdKey struct {
	decider         policy.Decider
	revision        int64
	action          policy.Action
	zoneIn, zoneOut uint8
	protocol        uint8
}

// admit says whether a refusal gets a row of its own. If not it is counted.
func (c *crowd) admit(e Event, now time.Time) bool {
	if c.filled.IsZero() {
		c.tokens = refusalBurst
	} else {
		c.tokens = min(refusalBurst, c.tokens+max(0, now.Sub(c.filled).Seconds())*refusalRate)
	}
	c.filled = now
	if c.tokens >= 1 {
		c.tokens--
		return true
	}
	key := crowdKey{e.Decider, e.Revision, e.Action, e.ZoneIn, e.ZoneOut, e.Tuple.Protocol}
	row := c.rows[key]
	if row == nil {
		if c.rows == nil {
			c.rows = map[crowdKey]*Event{}
		}
		row = &Event{}
		c.rows[key] = row
	}
	sum := Counts{
		row.Total.PacketsSent + e.Total.PacketsSent, row.Total.PacketsReceived + e.Total.PacketsReceived,
		row.Total.BytesSent + e.Total.BytesSent, row.Total.BytesReceived + e.Total.BytesReceived,
	}
	count := row.Count
	*row = e
	row.Total, row.Delta = sum, sum
	row.Count = count + min(e.Count, ^count)
	return false
}

// take gives the rows of what was put together since the last time.
func (c *crowd) take() []Event {
	var events []Event
	for _, e := range c.rows {
		events = append(events, *e)
	}
	c.rows = nil
	return events
}
