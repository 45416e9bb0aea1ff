package qos

// node is an HTB class. Rates are bits a second.
type node struct {
	number, parent uint32 // parent 0: the qdisc itself
	rate, ceil     uint64
	priority       int
	inner          bool // has classes below it, and no queue
}

// share of the link that a class without a guarantee has all the same, so that
// none starves: one in so many.
const share = 100

// leastRate is what HTB still counts well.
const leastRate = 8000

// linkTree shares rate among the classes: what is guaranteed to each first, the
// rest by priority.
func linkTree(c Config, rate uint64) []node {
	left, without := rate, uint64(0)
	for _, class := range c.Classes {
		left -= min(class.Guaranteed, left)
		if class.Guaranteed == 0 {
			without++
		}
	}
	n := number(c)
	least := max(min(rate/share, left/(without+uint64(len(n.rest)))), leastRate)
	tree := []node{{number: rootNumber, rate: rate, ceil: rate, inner: true}}
	for i, class := range c.Classes {
		leaf := node{number: uint32(i + 1), parent: rootNumber, rate: class.Guaranteed, ceil: rate, priority: class.Priority}
		if leaf.rate == 0 {
			leaf.rate = least
		}
		if class.Max > 0 {
			leaf.ceil = min(class.Max, rate)
		}
		leaf.rate = min(leaf.rate, leaf.ceil)
		tree = append(tree, leaf)
	}
	for priority := range priorities {
		if at, ok := n.rest[priority]; ok {
			tree = append(tree, node{number: at, parent: rootNumber, rate: least, ceil: rate, priority: priority})
		}
	}
	return tree
}

// deviceTree bounds each device for itself.
func deviceTree(c Config, upload bool) []node {
	var tree []node
	for i, d := range c.devices() {
		limit := d.Download
		if upload {
			limit = d.Upload
		}
		if limit > 0 {
			tree = append(tree, node{number: uint32(i + 1), rate: limit, ceil: limit})
		}
	}
	return tree
}
