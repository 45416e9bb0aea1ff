package netfilter

import (
	"errors"
	"fmt"

	"github.com/ti-mo/conntrack"
)

// Failures are conntrack's own counts of packets of this namespace that it has
// dropped, or of flows that it has forgotten early: no_port is a flow for which
// no address and port was left (of a masquerade's or a pool's ports all are in
// use towards that destination) or two first packets at a time; table_full and
// evicted are what a full table costs.
func Failures() (map[string]uint64, error) {
	c, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("open conntrack: %w", err)
	}
	all, err := c.Stats()
	if err = errors.Join(err, c.Close()); err != nil {
		return nil, fmt.Errorf("read conntrack's statistics: %w", err)
	}
	n := map[string]uint64{"no_port": 0, "table_full": 0, "evicted": 0}
	for _, s := range all { // a processor each
		n["no_port"] += uint64(s.InsertFailed)
		n["table_full"] += uint64(s.Drop - min(s.Drop, s.InsertFailed)) // an insertion that failed is counted as a drop, too
		n["evicted"] += uint64(s.EarlyDrop)
	}
	return n, nil
}
