package flow

import (
	"math"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// A flow that is cut off has its last row at once, not when its record ends: that may be hours
// later, since the record goes on to hold the verdict against what still comes. What comes
// after the cut is dropped, and counted there.
//
// That its end was told stands in the map of what was told, so that the next process knows it, too.

// endTold is what was told of a flow whose end was.
var endTold = bpfobj.TcReport{Packets: [2]uint64{math.MaxUint64, math.MaxUint64}}

// maxCuts bounds the flows that wait to be told: of more, the end is told when it comes.
const maxCuts = 1024

// Cut has the end of a flow told soon, if there is room for it. It does not wait.
func (r *Reader) Cut(id uint64) {
	select {
	case r.cuts <- id:
	default:
	}
}

// cutAll tells the ends of a flow that was cut off, and of all others that wait.
func (r *Reader) cutAll(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	now, told := uint64(bootNanos()), false
	for {
		told = r.cut(id, now) || told
		select {
		case id = <-r.cuts:
			continue
		default:
		}
		break
	}
	if !told {
		return
	}
	if err := r.deps.Settle(); err != nil {
		r.deps.Log.Debug("the last records of flows that were cut off are not on disk yet", "err", err)
	}
}

// cut tells the end of one flow. If the sink does not take it, it is told when the record ends.
// mu is held.
func (r *Reader) cut(id uint64, now uint64) bool {
	f, ok := r.maps.Flows.Flow(id)
	if !ok {
		return false // it has ended
	}
	before, known := r.told(id)
	if known && before == endTold {
		return false
	}
	events := r.last(&f, now)
	// First the note: if this process ends now, the sink's memory corrects it.
	if err := r.maps.Told.Put(id, &endTold); err != nil {
		r.deps.Log.Error("the end of a flow that was cut off is told late", "flow", id, "err", err)
		return false
	}
	if r.hand(events) {
		// The opening among the events was noted as told: the end is again.
		if err := r.maps.Told.Put(id, &endTold); err != nil {
			r.deps.Log.Error("the end of a flow may be told twice", "flow", id, "err", err)
		}
		return true
	}
	if known {
		err := r.maps.Told.Put(id, &before)
		if err != nil {
			r.deps.Log.Error("the end of a flow may be missing", "flow", id, "err", err)
		}
		return false
	}
	r.maps.Told.Delete(id) // absent already is as good
	return false
}
