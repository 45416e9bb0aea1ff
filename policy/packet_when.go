package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// where restricts a box to some circumstances: some moments, of some frames.
type where struct {
	zone  *time.Location
	spans [][2]uint32 // minutes of the week, joined; nil: always
	macs  []MAC       // sorted; nil: any
	not   bool        // none of macs
}

func (w *where) has(p Packet) bool {
	if w == nil {
		return true
	}
	if w.spans != nil {
		local := p.Time.In(w.zone)
		minute := uint32(local.Weekday())*1440 + uint32(local.Hour())*60 + uint32(local.Minute())
		if clockTime(p.Time) == 0 || !slices.ContainsFunc(w.spans, func(s [2]uint32) bool { return s[0] <= minute && minute <= s[1] }) {
			return false
		}
	}
	return w.macs == nil || slices.Contains(w.macs, p.SrcMAC) != w.not
}

func (w *where) same(o *where) bool {
	if w == nil || o == nil {
		return w == o
	}
	return slices.Equal(w.spans, o.spans) && slices.Equal(w.macs, o.macs) && w.not == o.not
}

// wheres writes a set of circumstances, by index, with few boxes: frames for
// which the same moments are meant share one. first is a circumstance of each.
func (c *circumstances) wheres(set []int) (out []*where, first []int) {
	moments := make([][]int, len(c.frames)) // of each frame
	for _, i := range set {
		f := i % len(c.frames)
		moments[f] = append(moments[f], i/len(c.frames))
	}
	for f, list := range moments {
		if len(list) == 0 || slices.ContainsFunc(moments[:f], func(o []int) bool { return slices.Equal(o, list) }) {
			continue
		}
		w := &where{zone: c.zone}
		if len(list) < len(c.moments) {
			for _, m := range list {
				w.spans = append(w.spans, c.moments[m].spans...)
			}
			w.spans = joinMinutes(w.spans)
		}
		whole := true
		for other := range c.frames {
			in := slices.Equal(moments[other], list)
			if whole = whole && in; in != (f == 0) { // a set that has the unnamed ones is told by what is not in it
				w.macs = append(w.macs, c.frames[other].macs...)
			}
		}
		if w.macs, w.not = sortedMACs(w.macs), f == 0; whole {
			w.macs, w.not = nil, false
		}
		if w.spans == nil && w.macs == nil {
			w = nil
		}
		out, first = append(out, w), append(first, list[0]*len(c.frames)+f)
	}
	return out, first
}

func joinMinutes(spans [][2]uint32) [][2]uint32 {
	slices.SortFunc(spans, func(a, b [2]uint32) int { return int(a[0]) - int(b[0]) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && s[0] == joined[n-1][1]+1 {
			joined[n-1][1] = s[1]
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// setWhere says in words when, and of whom, the box's packets are.
func (b *Box) setWhere(w *where) {
	b.where = w
	if w == nil {
		return
	}
	for _, s := range w.spans {
		b.When = append(b.When, fmt.Sprintf("%s-%s", dayText(s[0]), dayText(s[1])))
	}
	if w.macs != nil {
		var texts []string
		for _, m := range w.macs {
			texts = append(texts, "mac:"+m.String())
		}
		b.SourceMAC = strings.Join(texts, ",")
		if w.not {
			b.SourceMAC = "!" + b.SourceMAC
		}
	}
}

func dayText(minute uint32) string {
	return fmt.Sprintf("%s %02d:%02d", time.Weekday(minute / 1440).String()[:3], minute/60%24, minute%60)
}
