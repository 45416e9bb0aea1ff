package packet

import "strings"

// Event is something that the decoder, defragmentation or the stream engine found
// odd. Its name is that of the Suricata manual's decode-event and stream-event
// keywords, such as "ipv4.trunc_pkt".
type Event uint16

// String is the name as the event log has it: decoder.ipv4.trunc_pkt.
func (e Event) String() string {
	switch i := int(e) - 1; {
	case i >= 0 && i < len(decoderNames):
		return "decoder." + decoderNames[i]
	case i >= len(decoderNames) && i < len(decoderNames)+len(streamNames):
		return "stream." + streamNames[i-len(decoderNames)]
	}
	return "none"
}

// IsStream says whether it is the stream engine's.
func (e Event) IsStream() bool { return e >= lastDecoder }

// EventByName finds an event by its keyword's layer ("decode", "stream" or
// "engine") and its name there. The layer engine has those of both, with or
// without "decoder." and "stream." before.
func EventByName(layer, name string) (Event, bool) {
	name = older(name)
	if rest, ok := strings.CutPrefix(name, "stream."); ok && layer != "decode" {
		layer, name = "stream", rest
	} else if rest, ok := strings.CutPrefix(name, "decoder."); ok && layer != "stream" {
		layer, name = "decode", rest
	}
	if layer != "stream" {
		if e, ok := decoderEvents[name]; ok {
			return e, true
		}
	}
	if layer != "decode" {
		if e, ok := streamEvents[name]; ok {
			return e, true
		}
	}
	return 0, false
}

// older maps names that rules of earlier versions use.
func older(name string) string {
	switch name {
	case "udp.hlen_too_small", "udp.hlen_invalid":
		return "udp.len_invalid"
	case "3whs_synack_resend_with_diff_ack":
		return "3whs_synack_resend_with_different_ack"
	case "est_synack_resend_with_diff_ack":
		return "est_synack_resend_with_different_ack"
	case "ipv6.frag_invalid_len":
		return "ipv6.frag_invalid_length"
	}
	return name
}

var decoderEvents, streamEvents = func() (d, s map[string]Event) {
	d, s = map[string]Event{}, map[string]Event{}
	for i, name := range decoderNames {
		d[name] = Event(i + 1)
	}
	for i, name := range streamNames {
		s[name] = lastDecoder + Event(i)
	}
	return d, s
}()

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
