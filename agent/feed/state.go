package feed

import "time"

// State of a list.
type State struct {
	Name      string
	URL       string
	Zones     []string
	Prefixes  int
	Since     time.Time // when what is in force was read; zero: nothing is
	Confirmed time.Time // when the server of URL last said that it is its newest
	SHA256    string    // of what was fetched
	Error     string    // why the source as it is now is not in force
	Note      string    // what of it is left out, and why
}

// Table is what all lists together take.
type Table struct {
	Bytes int           // of kernel memory
	Took  time.Duration // to read what had changed, compile and load
}

// States are those of the lists, in order, and their table's.
func (f *Feed) States() (states []State, t Table) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.lists {
		states = append(states, f.state(i))
	}
	return states, Table{f.bytes, f.took}
}

// Degraded names the lists that are not as their sources.
func (f *Feed) Degraded() (list []string) {
	states, _ := f.States()
	for _, s := range states {
		if s.Error != "" {
			list = append(list, "drop_list:"+s.Name+": "+s.Error)
		}
	}
	return list
}
