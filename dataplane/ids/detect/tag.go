package detect

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Tags: what a rule marked for its packets to be logged.

// A tag of a session is kept with its flow.
type tagKey struct{ host netip.Addr }

type tagValue struct {
	until   int64
	packets uint32
	bytes   uint64
	metric  uint8
}

const (
	tagSeconds uint8 = iota
	tagPackets
	tagBytes
)

// defaultTagged is how many packets are logged where a tag gives no number, and
// tagTimeout how long a tag of packets or bytes lives without an end.
const (
	defaultTagged = 256
	tagTimeout    = 300e9
)

func (w *Worker) tag(x *rule.Tag) {
	v := tagValue{until: w.now + tagTimeout}
	switch x.Metric {
	case "seconds":
		v.metric, v.until = tagSeconds, w.now+int64(x.Count)*1e9
	case "bytes":
		v.metric, v.bytes = tagBytes, uint64(x.Count)
	case "packets":
		v.metric, v.packets = tagPackets, x.Count
	default:
		v.metric, v.packets = tagPackets, defaultTagged
	}
	var key tagKey
	switch {
	case x.Host && x.Direction == "src":
		key.host = w.src
	case x.Host:
		key.host = w.dst
	case w.flow == nil:
		return
	}
	w.tagging = append(w.tagging, tagged{key, v})
}

// tagged is a tag that a match of this Inspect asked for; without a host it is of the flow.
type tagged struct {
	key   tagKey
	value tagValue
}

// keepTags puts in force what matches asked for.
func (w *Worker) keepTags() {
	for i := range w.tagging {
		t := &w.tagging[i]
		if !t.key.host.IsValid() {
			w.flow.tag = t.value
			continue
		}
		w.state.tags.update(t.key, w.now, func(tagValue, bool) (tagValue, bool) { return t.value, true })
	}
}

// count takes a packet; it says whether the tag is of it, and whether it lives on.
func (v *tagValue) count(p *packet.Packet) (hit, lives bool) {
	if v.until < p.Time {
		return false, false
	}
	switch v.metric {
	case tagPackets:
		v.packets--
		return true, v.packets > 0
	case tagBytes:
		v.bytes -= min(v.bytes, uint64(p.Length))
		return true, v.bytes > 0
	}
	return true, true
}

// Tagged says whether a rule that matched before tagged the packet's session or one of its hosts,
// and counts the packet. The packet that matched is none of those.
func (w *Worker) Tagged(in *Input) bool {
	p, hit := in.Packet, false
	if f := in.Flow; f != nil && f.tag.until != 0 {
		var lives bool
		if hit, lives = f.tag.count(p); !lives {
			f.tag = tagValue{}
		}
	}
	if p.Version == 0 || w.state.tags.empty() {
		return hit
	}
	try := func(host netip.Addr) {
		k := tagKey{host}
		if _, ok := w.state.tags.get(k); !ok {
			return
		}
		w.state.tags.update(k, p.Time, func(v tagValue, found bool) (tagValue, bool) {
			if !found {
				return v, false
			}
			is, lives := v.count(p)
			hit = hit || is
			return v, lives
		})
	}
	try(p.Src)
	if p.Dst != p.Src {
		try(p.Dst)
	}
	return hit
}
