// Package control owns the conversation between the running agent and the
// commands on the same machine: JSON documents over HTTP on a Unix socket that
// only the owner of the agent can open.
//
// One process serves a socket at a time, held by a lock file beside it; a socket
// left by a killed process is replaced. Both ends are of the same build, so the
// document may change with it. The package reads nothing of the kernel itself.
package control

import ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"

// Status is what the running agent says of itself. Times are Unix seconds.
type Status struct {
	Version        string     `json:"version"`
	PID            int        `json:"pid"`
	Started        int64      `json:"started"`
	Mode           string     `json:"mode,omitempty"` // observe, shadow, takeover
	PolicyRevision int64      `json:"policy_revision"`
	PolicySource   string     `json:"policy_source,omitempty"` // cloud, disk (the last good one), file
	Link           Link       `json:"link"`
	Programs       []Program  `json:"programs"`
	DropLists      []DropList `json:"drop_lists,omitempty"`
	Guards         []Guard    `json:"guards,omitempty"` // that are on
	QoS            []Queue    `json:"qos,omitempty"`    // in the order of the trees
	Inspection     Inspection `json:"inspection"`
	Degraded       []string   `json:"degraded"` // named modes that lack something
	Spool          Spool      `json:"spool"`
	Counters       Counters   `json:"counters"`
}

// Link is the connection to the cloud.
type Link struct {
	State    string `json:"state"` // connected, connecting, refused, off
	Server   string `json:"server,omitempty"`
	DeviceID string `json:"device_id,omitempty"`
	Since    int64  `json:"since,omitempty"` // when it came into this state
	Error    string `json:"error,omitempty"` // of the last attempt
}

// Program is what is attached to one interface.
type Program struct {
	Interface string `json:"interface"`
	Zone      string `json:"zone,omitempty"`
	XDP       string `json:"xdp"`                 // native, generic, off
	TC        string `json:"tc"`                  // tcx, clsact, off
	FastPath  string `json:"fast_path,omitempty"` // xdp, tc, off
	Error     string `json:"error,omitempty"`
}

// DropList is a list of prefixes in force.
type DropList struct {
	Name      string   `json:"name"`
	Zones     []string `json:"zones,omitempty"` // that it is bound to
	URL       string   `json:"url,omitempty"`
	Prefixes  int      `json:"prefixes"`
	Packets   int64    `json:"packets"`             // dropped
	Since     int64    `json:"since,omitempty"`     // when what is in force was read
	Confirmed int64    `json:"confirmed,omitempty"` // when the server last said that it is its newest
	SHA256    string   `json:"sha256,omitempty"`    // of what was fetched
	LoadedIn  float64  `json:"loaded_in,omitempty"` // seconds that reading all changed lists and loading the table took
	Error     string   `json:"error,omitempty"`     // why the source as it is now is not in force
	Note      string   `json:"note,omitempty"`      // what of it is left out, and why
}

// Guard is a flood guard of a zone, or of all that have none of their own.
type Guard struct {
	Guard     string `json:"guard"`          // source, syn
	Zone      string `json:"zone,omitempty"` // "": every other
	PerSecond uint32 `json:"per_second"`
	Burst     uint32 `json:"burst"`
	Packets   int64  `json:"packets"` // dropped
}

// Queue is that of a class on an uplink, or of a limited device. Rates are bits a
// second, Bytes and Backlog bytes of frames.
type Queue struct {
	Interface string `json:"interface,omitempty"` // none: all interfaces with devices
	Direction string `json:"direction"`           // upload, download
	Class     string `json:"class,omitempty"`     // "": what matches none, or a device's
	ClassID   int64  `json:"class_id,omitempty"`
	Device    string `json:"device,omitempty"` // MAC address
	Priority  int    `json:"priority"`
	Rate      uint64 `json:"rate"` // guaranteed
	Ceil      uint64 `json:"ceil"` // at most
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
	Dropped   uint64 `json:"dropped"`
	Backlog   uint64 `json:"backlog"`
	Queue     string `json:"queue"`  // its discipline: bfifo, fq_codel, cake
	Marked    uint64 `json:"marked"` // packets that were let pass with a mark for congestion (ECN)
}

// Spool is what waits for the cloud's acknowledgement.
type Spool struct {
	Bytes          int64  `json:"bytes"`
	Batches        int64  `json:"batches"`
	DroppedBatches int64  `json:"dropped_batches"`
	DroppedRows    int64  `json:"dropped_rows"`
	Error          string `json:"error,omitempty"`
}

// Counters are those of the packet programs since they were first loaded.
type Counters struct {
	Packets    int64            `json:"packets"`
	FastPath   int64            `json:"fastpath_packets"` // of packets
	Bytes      int64            `json:"bytes"`
	Flows      int64            `json:"flows"` // in the table now
	Drops      map[string]int64 `json:"drops"` // packets by reason
	EventsLost int64            `json:"events_lost"`
}

// Take fills what the report to the cloud holds too.
func (s *Status) Take(d *ngfwv1.Dataplane) {
	s.PolicyRevision = d.GetPolicyRevision()
	s.Degraded = d.GetDegraded()
	s.Counters = Counters{
		Packets: d.GetPackets(), FastPath: d.GetFastpathPackets(), Bytes: d.GetBytes(), Flows: d.GetFlows(), Drops: d.GetDrops(), EventsLost: d.GetEventsLost(),
	}
	p := d.GetSpool()
	s.Spool = Spool{
		Bytes: p.GetBytes(), Batches: p.GetBatches(), DroppedBatches: p.GetDroppedBatches(), DroppedRows: p.GetDroppedRows(), Error: p.GetError(),
	}
}

// complete makes empty lists of absent ones: a reader need not know null.
func (s Status) complete() Status {
	if s.Programs == nil {
		s.Programs = []Program{}
	}
	if s.Inspection.Queues == nil {
		s.Inspection.Queues = []MatcherQueue{}
	}
	if s.Degraded == nil {
		s.Degraded = []string{}
	}
	if s.Counters.Drops == nil {
		s.Counters.Drops = map[string]int64{}
	}
	return s
}
