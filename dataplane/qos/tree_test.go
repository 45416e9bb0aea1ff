package qos

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLinkTree(t *testing.T) {
	c := Config{Priority: 4, Classes: []Class{
		{ID: 1, Priority: 0, Guaranteed: 4e6, Max: 10e6}, {ID: 2, Priority: 7}, {ID: 3, Priority: 2, Max: 50e6},
	}, Devices: []Device{{Priority: 1}, {Priority: -1}, {Priority: 4}}}
	want := []node{
		{number: 0xfff, rate: 20e6, ceil: 20e6, inner: true},
		{number: 1, parent: 0xfff, rate: 4e6, ceil: 10e6},
		{number: 2, parent: 0xfff, rate: 200e3, ceil: 20e6, priority: 7},
		{number: 3, parent: 0xfff, rate: 200e3, ceil: 20e6, priority: 2},
		{number: 4, parent: 0xfff, rate: 200e3, ceil: 20e6, priority: 1},
		{number: 5, parent: 0xfff, rate: 200e3, ceil: 20e6, priority: 4},
	}
	if diff := cmp.Diff(want, linkTree(c, 20e6), cmp.AllowUnexported(node{})); diff != "" {
		t.Error(diff)
	}
}

func TestDeviceTree(t *testing.T) {
	c := Config{Devices: []Device{{MAC: MAC{9}, Upload: 3e6}, {MAC: MAC{1}, Download: 5e6}, {MAC: MAC{5}, Upload: 1e6, Download: 2e6}}}
	for upload, want := range map[bool][]node{
		true:  {{number: 2, rate: 1e6, ceil: 1e6}, {number: 3, rate: 3e6, ceil: 3e6}},
		false: {{number: 1, rate: 5e6, ceil: 5e6}, {number: 2, rate: 2e6, ceil: 2e6}},
	} {
		if diff := cmp.Diff(want, deviceTree(c, upload), cmp.AllowUnexported(node{})); diff != "" {
			t.Error(diff)
		}
	}
}

// TestTreeFits: whatever is configured, every number of the table is a leaf of the
// tree, numbers fit the mark, a guarantee is kept whole, and what the leaves may take
// whatever the others do is, but for HTB's least rate, no more than the link has.
func TestTreeFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		link := uint64(rapid.IntRange(100_000, 10_000_000_000).Draw(t, "link"))
		left := link
		c := Config{Priority: rapid.IntRange(0, 7).Draw(t, "priority")}
		for i := range rapid.IntRange(0, 16).Draw(t, "classes") {
			g := uint64(rapid.Float64Range(0, 1).Draw(t, "part") * float64(left))
			if rapid.Bool().Draw(t, "none") {
				g = 0
			}
			left -= g
			class := Class{ID: int64(i), Guaranteed: g, Codepoints: []uint8{uint8(i)}, Priority: rapid.IntRange(0, 7).Draw(t, "class priority")}
			if rapid.Bool().Draw(t, "bounded") {
				class.Max = max(g, 100_000)
			}
			c.Classes = append(c.Classes, class)
		}
		for i := range rapid.IntRange(0, 9).Draw(t, "devices") {
			c.Devices = append(c.Devices, Device{MAC: MAC{byte(i)}, Upload: 1, Priority: rapid.IntRange(-1, 7).Draw(t, "rank")})
		}
		leaves, sum := map[uint8]node{}, uint64(0)
		for _, n := range linkTree(c, link) {
			if n.inner {
				continue
			}
			if n.number < 1 || n.number > 31 || n.rate > n.ceil || n.ceil > link {
				t.Fatalf("leaf %+v", n)
			}
			leaves[uint8(n.number)] = n
			sum += n.rate
		}
		if sum > link+uint64(len(leaves))*leastRate {
			t.Fatalf("leaves are promised %d, the link has %d", sum, link)
		}
		table := NewTable(c)
		for i, class := range c.Classes {
			n, ok := leaves[table.Codepoint[i]]
			if !ok || n.rate < class.Guaranteed || n.priority != class.Priority {
				t.Fatalf("class %+v has %+v", class, n)
			}
		}
		for rank, at := range table.Rest {
			if n, ok := leaves[at]; !ok || rank == 0 && n.priority != c.Priority {
				t.Fatalf("rank %d has %+v", rank, n)
			}
		}
		for _, d := range c.Devices {
			e := table.Devices[d.MAC]
			want := c.Priority
			if d.Priority >= 0 {
				want = d.Priority
			}
			if got := leaves[table.Rest[e.Rank]].priority; got != want {
				t.Fatalf("%+v goes by priority %d", d, got)
			}
		}
	})
}
