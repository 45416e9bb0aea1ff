package ids

import "ngfw.sh/dataplane/ids/app"

// Elephant says how many bytes a direction sends in how many seconds where its flow is an
// elephant (flow.rate-tracking). Without them no flow is.
type Elephant struct {
	Bytes   uint64
	Seconds int
}

// maxElephantSeconds bounds what is kept of each flow.
const maxElephantSeconds = 3600

// rate counts a direction's bytes second by second.
type rate struct {
	seconds []uint64 // by the second, as a ring
	at      int64    // the newest
	sum     uint64
}

// weigh counts a packet and says whether its flow is an elephant by now.
func (w *Worker) weigh(f *Flow, dir app.Direction, length int) {
	e := &w.engine.cfg.Flows.Elephant
	if e.Bytes == 0 || e.Seconds <= 0 {
		return
	}
	r := &f.rates[dir]
	was := f.Detect.Elephant != [2]bool{}
	r.add(min(e.Seconds, maxElephantSeconds), w.now/1e9, uint64(length))
	f.Detect.Elephant[dir] = r.sum >= e.Bytes
	if !was && f.Detect.Elephant[dir] {
		w.Counters.Elephants++
	}
}

// add counts bytes of a second; those of seconds that are too long ago no longer count.
func (r *rate) add(size int, second int64, n uint64) {
	if len(r.seconds) != size {
		*r = rate{seconds: make([]uint64, size), at: second}
	}
	for gone := min(second-r.at, int64(size)); gone > 0; gone-- {
		slot := &r.seconds[(second-gone+1)%int64(size)]
		r.sum -= *slot
		*slot = 0
	}
	r.at = max(r.at, second)
	r.seconds[r.at%int64(size)] += n
	r.sum += n
}

func (r *rate) reset() {
	clear(r.seconds)
	r.at, r.sum = 0, 0
}
