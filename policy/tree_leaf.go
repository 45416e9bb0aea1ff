package policy

import "slices"

// treeWriter writes trees into an image's lines, with the places and verdicts
// that their entries have this time.
type treeWriter struct {
	lines  *[]Line
	boxes  []treeBox // by handle, as the next two
	orders []uint32
	says   []uint32 // deciders, or the numbers of conditions
	v6     bool

	first  uint32 // lowest order of the tree
	long   int    // entries of the longest leaf
	copies []uint32
}

// forest writes trees and gives a reference to them, the number of entries of
// the longest leaf, which is to be at most MaxLeaf, and the box that was copied
// most.
func (w *treeWriter) forest(trees []*treeNode) (ref uint32, long int, costliest uint32) {
	w.copies = make([]uint32, len(w.boxes))
	type tree struct{ ref, first uint32 }
	var written []tree
	for _, t := range trees {
		w.first = lineOpen
		written = append(written, tree{w.node(t), w.first})
	}
	for i, n := range w.copies {
		if n > w.copies[costliest] || n == w.copies[costliest] && w.orders[i] < w.orders[costliest] {
			costliest = uint32(i)
		}
	}
	if len(written) == 1 {
		return written[0].ref, w.long, costliest
	}
	slices.SortFunc(written, func(x, y tree) int { return int(int64(x.first) - int64(y.first)) })
	var line Line
	for i := range treeNumber {
		line[2*i+1] = lineOpen
		if i < len(written) {
			line[2*i], line[2*i+1] = written[i].ref, written[i].first
		}
	}
	return refForest | w.append(line), w.long, costliest
}

func (w *treeWriter) append(line Line) uint32 {
	at := len(*w.lines)
	*w.lines = append(*w.lines, line)
	return uint32(at)
}

func (w *treeWriter) node(n *treeNode) uint32 {
	if n == nil {
		return refLeaf
	}
	if n.after == nil {
		return w.leaf(n.held)
	}
	line := Line{0: uint32(n.word)}
	for i := range nodeParts - 1 {
		line[1+i] = lineOpen
		if i < len(n.after) {
			line[1+i] = n.after[i]
		}
	}
	at := w.append(line)
	for i, p := range n.parts {
		ref := w.node(p)
		(*w.lines)[at][nodeParts+i] = ref
	}
	return refNode | at
}

// leaf writes entries to be walked in order.
func (w *treeWriter) leaf(ids []uint32) uint32 {
	n := len(ids)
	w.first, w.long = min(w.first, w.orders[ids[0]]), max(w.long, n)
	for _, id := range ids {
		w.copies[id]++
	}
	if n > MaxLeaf {
		return refLeaf // the policy does not compile
	}
	ref := uint32(refLeaf | n<<refCountShift)
	if n > leafEntries {
		ref = refLong
	}
	ref |= uint32(len(*w.lines))
	if n > leafEntries {
		w.append(Line{uint32(n)})
	}
	if w.v6 {
		w.leaf6(ids)
	} else {
		w.leaf4(ids)
	}
	return ref
}

func (w *treeWriter) leaf4(ids []uint32) {
	for pair := range slices.Chunk(ids, 2) {
		at := w.append(Line{})
		line := &(*w.lines)[at]
		for i, id := range pair {
			e := line[8*i : 8*i+8]
			for side := range w.boxes[id].cube {
				s := &w.boxes[id].cube[side]
				e[2*side], e[2*side+1] = uint32(s.first.lo), uint32(s.last.lo)
			}
			e[6], e[7] = w.says[id], w.orders[id]
		}
	}
}

func (w *treeWriter) leaf6(ids []uint32) {
	for four := range slices.Chunk(ids, 4) {
		var line Line
		for i, id := range four {
			service := &w.boxes[id].cube[2]
			copy(line[4*i:], []uint32{uint32(service.first.lo), uint32(service.last.lo), w.says[id], w.orders[id]})
		}
		w.append(line)
	}
	for _, id := range ids {
		source, destination := w.boxes[id].cube[0], w.boxes[id].cube[1]
		var line Line
		line.setNumber(0, source.first)
		line.setNumber(1, source.last)
		line.setNumber(2, destination.first)
		line.setNumber(3, destination.last)
		w.append(line)
	}
}
