package packet

// Event is something that the decoder, defragmentation or the stream engine found
// odd. Its name is that of the Suricata manual's decode-event and stream-event
// keywords, such as "ipv4.trunc_pkt".
type Event uint16

// Events is a set of events, in the order they were found, without duplicates.
// What does not fit is left out: a packet so broken has told enough.
type Events struct {
	list [12]Event
	n    int
}

// Add puts an event into the set.
func (e *Events) Add(event Event) {
	if e.n == len(e.list) || e.Has(event) {
		return
	}
	e.list[e.n] = event
	e.n++
}

// Has says whether the set holds an event.
func (e *Events) Has(event Event) bool {
	for _, x := range e.list[:e.n] {
		if x == event {
			return true
		}
	}
	return false
}

// All lists the events.
func (e *Events) All() []Event { return e.list[:e.n] }

// Reset empties the set.
func (e *Events) Reset() { e.n = 0 }
