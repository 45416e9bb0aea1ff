package qos

import "encoding/hex"

// Table is by what the packet programs choose a class: struct qos_table of
// bpf/abi/qos.h and the devices. 0 is no class; of those that a packet matches the
// lowest counts.
type Table struct {
	Codepoint [64]uint8
	App       [256]uint8
	Rest      [16]uint8 // by rank
	Port      [2][65536]uint8
	Devices   map[MAC]Entry
}

// Entry is what is known of a device.
type Entry struct {
	Rank             uint8 // 1 + its priority, 0: none
	Upload, Download bool
	Number           uint32 // in the device stage
}

// Rows of Table.Port.
const (
	rowTCP = 0
	rowUDP = 1
)

// NewTable is the table of a configuration.
func NewTable(c Config) *Table {
	t := &Table{Devices: map[MAC]Entry{}}
	lower := func(at *uint8, n int) {
		if *at == 0 {
			*at = uint8(n)
		}
	}
	for i, class := range c.Classes {
		for _, p := range class.Codepoints {
			lower(&t.Codepoint[p&63], i+1)
		}
		for _, a := range class.Apps {
			lower(&t.App[a], i+1)
		}
		for _, r := range class.Ports {
			for row, protocol := range []uint8{rowTCP: 6, rowUDP: 17} {
				if r.Protocol != 0 && r.Protocol != protocol {
					continue
				}
				for port := int(r.From); port <= int(r.To); port++ {
					lower(&t.Port[row][port], i+1)
				}
			}
		}
	}
	n := number(c)
	for rank := range t.Rest {
		t.Rest[rank] = uint8(n.rest[c.Priority])
		if special, ok := n.rest[rank-1]; ok {
			t.Rest[rank] = uint8(special)
		}
	}
	for i, d := range c.devices() {
		e := Entry{Upload: d.Upload > 0, Download: d.Download > 0, Number: uint32(i + 1)}
		if d.Priority >= 0 {
			e.Rank = uint8(d.Priority + 1)
		}
		t.Devices[d.MAC] = e
	}
	return t
}

// UsesApps says whether a class has an application.
func (t *Table) UsesApps() bool { return t.App != [256]uint8{} }

func (m MAC) String() string { return hex.EncodeToString(m[:]) }
