package qos

import "github.com/vishvananda/netlink"

// Counter names a class's queue: that of a class, or of a limited device.
type Counter struct {
	Interface string // "" for the upload of devices, which is one for all interfaces
	Upload    bool
	ClassID   int64 // 0: what matches none
	Device    MAC   // of the device stage
}

// Statistic is what has passed a queue. Backlog is bytes, the others but Bytes are
// packets. Marked are those that the queue let pass with the word that there is
// congestion (ECN), instead of dropping them.
type Statistic struct {
	Counter
	Name                             string // of the class
	Priority                         int
	Rate, Ceil                       uint64 // bits a second
	Queue                            Queue  // the discipline that is there, which may be a poorer one than asked for
	Packets, Bytes, Dropped, Backlog uint64
	Marked                           uint64
}

// Statistics are those of every queue, in the order of the trees.
func (s *Shaper) Statistics() ([]Statistic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.force == nil {
		return nil, nil
	}
	slot, err := s.deps.Programs.QoS()
	if err != nil || slot < 0 {
		return nil, err
	}
	list, err := s.force.read(slot)
	return merge(list, s.earlier), err
}

func (f *force) read(slot int) ([]Statistic, error) {
	var out []Statistic
	for _, st := range f.stages {
		list, err := f.readStage(st, slot)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// merge sums what has the same name, such as all priorities of what matches no
// class, and adds what replaced trees had counted.
func merge(list []Statistic, earlier map[Counter]Statistic) []Statistic {
	var out []Statistic
	at := map[Counter]int{}
	for _, st := range list {
		i, ok := at[st.Counter]
		if !ok {
			i = len(out)
			at[st.Counter] = i
			was := earlier[st.Counter]
			st.Packets, st.Bytes = st.Packets+was.Packets, st.Bytes+was.Bytes
			st.Dropped, st.Marked = st.Dropped+was.Dropped, st.Marked+was.Marked
			out = append(out, st)
			continue
		}
		out[i].Packets += st.Packets
		out[i].Bytes += st.Bytes
		out[i].Dropped += st.Dropped
		out[i].Marked += st.Marked
		out[i].Backlog += st.Backlog
	}
	return out
}

// readStage asks the kernel for the queues of a stage.
func (f *force) readStage(st stage, slot int) ([]Statistic, error) {
	l, err := netlink.LinkByName(st.device)
	if err != nil {
		return nil, nil // gone: the next change of interfaces says so
	}
	have, err := classes(l, slot)
	if err != nil {
		return nil, err
	}
	queues, err := leaves(l)
	if err != nil {
		return nil, err
	}
	devices := f.cfg.devices()
	var out []Statistic
	for _, n := range st.tree {
		c := have[n.number]
		if n.inner || c == nil {
			continue
		}
		one := Statistic{Counter: Counter{Interface: st.port, Upload: st.upload}, Priority: n.priority, Rate: n.rate, Ceil: n.ceil}
		queue := queues[c.Handle]
		one.Queue, one.Dropped, one.Marked = queue.kind, queue.dropped, queue.marked
		switch i := int(n.number) - 1; {
		case st.filter != FilterLink && i < len(devices):
			one.Device = devices[i].MAC
		case i < len(f.cfg.Classes):
			one.ClassID, one.Name = f.cfg.Classes[i].ID, f.cfg.Classes[i].Name
		}
		if stats := c.Statistics; stats != nil {
			if stats.Basic != nil {
				one.Packets, one.Bytes = uint64(stats.Basic.Packets), stats.Basic.Bytes
			}
			if stats.Queue != nil {
				one.Backlog = uint64(stats.Queue.Backlog)
			}
		}
		out = append(out, one)
	}
	return out, nil
}

// remember adds the counts of trees that are about to go. mu is held.
func (s *Shaper) remember(was *force, slot int) {
	list, err := was.read(slot)
	if err != nil {
		s.deps.Log.Warn("counts of classes are lost with their trees", "err", err)
		return
	}
	for _, st := range list {
		sum := s.earlier[st.Counter]
		sum.Packets += st.Packets
		sum.Bytes += st.Bytes
		sum.Dropped += st.Dropped
		sum.Marked += st.Marked
		s.earlier[st.Counter] = sum
	}
}
