package policy

import (
	"fmt"
	"slices"

	"ngfw.sh/internal/fault"
)

// Condition is what an entry asks beside the box that a packet lies in: the time
// and the frame's source. Entries without one stand in the trees as they are; the
// others name theirs, which says who decides.
type Condition struct {
	Decider   Decider
	Scheduled bool
	Window    Window
	MACs      []MAC // sorted; nil: any
	NotMACs   bool  // none of MACs
}

// Window is a daily window of local minutes on some days of the week. Where it
// ends before it begins it runs over midnight and belongs to the day it starts on.
type Window struct {
	Start, End uint16 // minutes after midnight, both in
	Days       uint8  // bit n: day n, 0 is Sunday
}

// maxMACs bounds the MAC addresses that an image's conditions name together.
const maxMACs = 1 << 16

// How a condition stands in a quarter of a line: the decider; its flags and
// window; the line where its MAC addresses begin and how many they are. The
// addresses are sorted, eight 64-bit numbers a line, the lower 32 bits first.
const (
	conditionsALine = 4
	macsALine       = 8

	conditionStart     = 0 // shifts
	conditionEnd       = 11
	conditionDays      = 22
	conditionMinutes   = 0x7ff
	conditionWeek      = 0x7f
	conditionScheduled = 1 << 29
	conditionMACs      = 1 << 30
	conditionNotMACs   = 1 << 31
)

// Number is the address as a number, its first byte the highest.
func (m MAC) Number() uint64 {
	n := uint64(0)
	for _, b := range m {
		n = n<<8 | uint64(b)
	}
	return n
}

// conditionSet collects the conditions of an image; number 0 is none.
type conditionSet struct {
	list []Condition
	macs map[string]int // of a list of addresses → how often it is named
	held int            // addresses of all lists together
}

// add numbers a condition.
func (s *conditionSet) add(c Condition) uint32 {
	if len(c.MACs) > 0 {
		key := macKey(c.MACs)
		if s.macs == nil {
			s.macs = map[string]int{}
		}
		if s.macs[key]++; s.macs[key] == 1 {
			s.held += len(c.MACs)
		}
	}
	s.list = append(s.list, c)
	return uint32(len(s.list))
}

func macKey(list []MAC) string {
	key := make([]byte, 0, 6*len(list))
	for _, m := range list {
		key = append(key, m[:]...)
	}
	return string(key)
}

// write lays the conditions out behind the trees.
func (s *conditionSet) write(im *Image) error {
	if len(s.list) == 0 {
		return nil
	}
	if s.held > maxMACs {
		return fault.New(fault.InvalidConfig, "the rules name %d MAC addresses, the limit is %d: share groups of type mac between rules", s.held, maxMACs)
	}
	placed := map[string]uint32{}
	for _, c := range s.list {
		key := macKey(c.MACs)
		if _, done := placed[key]; done || len(c.MACs) == 0 {
			continue
		}
		placed[key] = uint32(len(im.Lines))
		im.Lines = append(im.Lines, macLines(c.MACs)...)
	}
	im.Conditions = uint32(len(im.Lines))
	for chunk := range slices.Chunk(s.list, conditionsALine) {
		var line Line
		for i, c := range chunk {
			copy(line[4*i:], c.words(placed))
		}
		im.Lines = append(im.Lines, line)
	}
	if len(im.Lines) > MaxLines {
		return fault.New(fault.InvalidConfig, "the rules' search trees and conditions are larger than %d MB: use fewer rules", MaxLines*64>>20)
	}
	return nil
}

func macLines(macs []MAC) (lines []Line) {
	for chunk := range slices.Chunk(macs, macsALine) {
		var line Line
		for i, m := range chunk {
			line[2*i], line[2*i+1] = uint32(m.Number()), uint32(m.Number()>>32)
		}
		lines = append(lines, line)
	}
	return lines
}

func (c Condition) words(placed map[string]uint32) []uint32 {
	flags := uint32(0)
	if c.Scheduled {
		flags = conditionScheduled | uint32(c.Window.Start)<<conditionStart | uint32(c.Window.End)<<conditionEnd | uint32(c.Window.Days)<<conditionDays
	}
	if c.MACs != nil {
		flags |= conditionMACs
	}
	if c.NotMACs {
		flags |= conditionNotMACs
	}
	return []uint32{uint32(c.Decider), flags, placed[macKey(c.MACs)], uint32(len(c.MACs))}
}

// holds judges a condition, by its number, as the packet programs do: bpf/lib/condition.h.
func (s *descent) holds(number, order uint32) (decider uint32, ok bool) {
	n := number - 1
	c := s.image.Lines[s.image.Conditions+n/conditionsALine][n%conditionsALine*4:]
	flags := c[1]
	if flags&conditionScheduled != 0 {
		switch {
		case s.local == noLocal:
			if orderActions[order&orderAction] == Accept {
				return 0, false
			}
		case !windowOf(flags).has(s.local):
			return 0, false
		}
	}
	if flags&conditionMACs != 0 && s.image.hasMAC(c[2], c[3], s.mac) == (flags&conditionNotMACs != 0) {
		return 0, false
	}
	return c[0], true
}

func windowOf(flags uint32) Window {
	return Window{
		Start: uint16(flags >> conditionStart & conditionMinutes), End: uint16(flags >> conditionEnd & conditionMinutes),
		Days: uint8(flags >> conditionDays & conditionWeek),
	}
}

// has says whether a minute of the week is in the window.
func (w Window) has(minuteOfWeek uint32) bool {
	day, minute := minuteOfWeek/1440, uint16(minuteOfWeek%1440)
	today, yesterday := w.Days>>day&1 != 0, w.Days>>((day+6)%7)&1 != 0
	if w.Start <= w.End {
		return today && w.Start <= minute && minute <= w.End
	}
	return today && minute >= w.Start || yesterday && minute <= w.End
}

// hasMAC looks an address up in a sorted list.
func (im *Image) hasMAC(line, count uint32, mac MAC) bool {
	key := mac.Number()
	low, high := uint32(0), count
	for low < high && key != 0 {
		at := (low + high) / 2
		l := &im.Lines[line+at/macsALine]
		switch n := uint64(l[at%macsALine*2+1])<<32 | uint64(l[at%macsALine*2]); {
		case n == key:
			return true
		case n < key:
			low = at + 1
		default:
			high = at
		}
	}
	return false
}

// conditionOf gives what a rule asks of time; the zero Condition: nothing.
func conditionOf(r Rule) (Condition, error) {
	if !r.Schedule.Enabled {
		return Condition{}, nil
	}
	start, err := parseMinute(r.Schedule.Start)
	if err != nil {
		return Condition{}, fmt.Errorf("schedule.start: %w", err)
	}
	end, err := parseMinute(r.Schedule.End)
	if err != nil {
		return Condition{}, fmt.Errorf("schedule.end: %w", err)
	}
	w := Window{Start: uint16(start), End: uint16(end), Days: conditionWeek}
	if len(r.Schedule.Days) > 0 {
		w.Days = 0
		for _, d := range r.Schedule.Days {
			w.Days |= 1 << d
		}
	}
	return Condition{Scheduled: true, Window: w}, nil
}

// asks says whether a condition restricts anything.
func (c Condition) asks() bool { return c.Scheduled || c.MACs != nil }
