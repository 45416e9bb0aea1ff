package policy

import (
	"slices"
	"time"

	"ngfw.sh/internal/fault"
)

// maxCircumstances bounds those of an analysis, each of which is looked at.
const maxCircumstances = 256

// circumstance is what conditions see beside addresses and service: a moment, and
// a frame's source. It stands for all that no condition tells apart from it.
type circumstance struct {
	minute uint32 // of the week, local
	mac    MAC    // zero: none that a rule names
}

// circumstances are all of them, moment by moment.
type circumstances struct {
	zone    *time.Location
	moments []moment
	frames  []frame
}

// moment is a set of minutes of the week in which the same windows are open.
type moment struct {
	minute uint32 // one of them
	spans  [][2]uint32
}

// frame is a set of MAC addresses that are in the same lists.
type frame struct {
	macs []MAC // empty: all that no list names, and none
}

func (f frame) mac() MAC {
	if len(f.macs) == 0 {
		return MAC{}
	}
	return f.macs[0]
}

func (c *circumstances) count() int { return len(c.moments) * len(c.frames) }

func (c *circumstances) at(i int) circumstance {
	return circumstance{c.moments[i/len(c.frames)].minute, c.frames[i%len(c.frames)].mac()}
}

// timed says whether any rule asks for the time, framed for the frame.
func (c *circumstances) timed() bool  { return len(c.moments) > 1 || len(c.moments[0].spans) > 0 }
func (c *circumstances) framed() bool { return len(c.frames) > 1 }

// circumstancesOf finds out what the conditions of some policies tell apart.
func circumstancesOf(policies ...*analysis) (*circumstances, error) {
	var windows []Window
	var lists [][]MAC
	for _, a := range policies {
		lists = append(lists, a.framed()...)
		for i := range a.rules {
			for _, v := range a.rules[i].variants {
				if v.asks.Scheduled && !slices.Contains(windows, v.asks.Window) {
					windows = append(windows, v.asks.Window)
				}
				if v.asks.MACs != nil {
					lists = append(lists, v.asks.MACs)
				}
			}
		}
	}
	c := &circumstances{moments: momentsOf(windows), frames: framesOf(lists)}
	if c.count() > maxCircumstances {
		return nil, fault.New(fault.InvalidConfig, "schedules and MAC addresses make %d circumstances, an analysis looks at %d: use fewer different ones", c.count(), maxCircumstances)
	}
	zone, err := loadZone(policies[0].policy.TimeZone)
	if err != nil {
		return nil, err
	}
	c.zone = zone
	for _, a := range policies[1:] {
		if a.policy.TimeZone != policies[0].policy.TimeZone && len(windows) > 0 {
			return nil, fault.Invalid("time_zone", "the policies have schedules of different time zones, whose days cannot be compared: give both the same zone")
		}
	}
	return c, nil
}

func momentsOf(windows []Window) []moment {
	var edges []uint32
	for _, w := range windows {
		edges = append(edges, w.edges()...)
	}
	if len(edges) == 0 {
		return []moment{{}}
	}
	edges = append(edges, 0)
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var out []moment
	known := map[string]int{}
	for i, first := range edges {
		last := uint32(minutesOfWeek - 1)
		if i+1 < len(edges) {
			last = edges[i+1] - 1
		}
		open := make([]byte, len(windows))
		for n, w := range windows {
			if w.has(first) {
				open[n] = 1
			}
		}
		n, again := known[string(open)]
		if !again {
			n = len(out)
			known[string(open)] = n
			out = append(out, moment{minute: first})
		}
		out[n].spans = append(out[n].spans, [2]uint32{first, last})
	}
	return out
}

func framesOf(lists [][]MAC) []frame {
	in := map[MAC][]byte{} // the lists that an address is in
	for n, list := range lists {
		for _, mac := range list {
			in[mac] = append(in[mac], byte(n>>8), byte(n))
		}
	}
	out := []frame{{}}
	known := map[string]int{}
	macs := make([]MAC, 0, len(in))
	for mac := range in {
		macs = append(macs, mac)
	}
	for _, mac := range sortedMACs(macs) {
		n, again := known[string(in[mac])]
		if !again {
			n = len(out)
			known[string(in[mac])] = n
			out = append(out, frame{})
		}
		out[n].macs = append(out[n].macs, mac)
	}
	return out
}

// holds says whether a condition holds.
func (c *Condition) holds(in circumstance) bool {
	return (!c.Scheduled || c.Window.has(in.minute)) &&
		(c.MACs == nil || slices.Contains(c.MACs, in.mac) != c.NotMACs)
}

// moment finds a time that shows a minute of the week: in the first week of a
// year, or the first that has the minute.
func (c *circumstances) time(minute uint32) time.Time {
	at := time.Date(2027, 1, 3, 0, int(minute), 0, 0, c.zone) // a Sunday
	for range 52 {
		if uint32(at.Weekday())*1440+uint32(at.Hour())*60+uint32(at.Minute()) == minute {
			break
		}
		at = at.AddDate(0, 0, 7)
	}
	return at
}

// mark gives a packet the time and source that a circumstance is about.
func (c *circumstances) mark(p *Packet, in circumstance) {
	if c.timed() {
		p.Time = c.time(in.minute)
	}
	if c.framed() && p.In != InterfaceSelf {
		p.SrcMAC = in.mac
	}
}
