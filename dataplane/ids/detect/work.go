package detect

// What all expressions together may take of one Inspect, in steps. An expression is
// bounded by itself, and so are those of one rule in one buffer; but rules are many, and
// traffic can be made to take each to its bound: seconds for a packet, while all
// other flows of the worker wait. Rules that mean well take a hundredth.
const (
	workFixed   = 1 << 21
	workPerByte = 64
	// A flow that takes all of it is given half of it the next time, down to
	// 1/2^maxHeavy, and more again as it takes less.
	maxHeavy = 6
)

// allowance is what an Inspect of so many bytes may take.
func allowance(f *Flow, bytes int) int {
	all := workFixed + workPerByte*bytes
	if f != nil {
		all >>= f.heavy
	}
	return all
}

// weigh remembers whether the flow was too heavy.
func (w *Worker) weigh() {
	switch f := w.flow; {
	case f == nil:
	case w.work < 0:
		f.heavy = min(f.heavy+1, maxHeavy)
	case f.heavy > 0:
		f.heavy--
	}
}
