package netfilter

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// Forget ends conntrack's entries that are bound to these addresses of the
// router: translated from them, or to them. It says how many there were.
func Forget(lost []netip.Addr) (n int, err error) {
	if len(lost) == 0 {
		return 0, nil
	}
	c, err := conntrack.Dial(nil)
	if err != nil {
		return 0, fmt.Errorf("open conntrack: %w", err)
	}
	defer c.Close()
	all, err := c.Dump(nil)
	if err != nil {
		return 0, fmt.Errorf("read conntrack: %w", err)
	}
	var errs []error
	for _, f := range all {
		translated := f.TupleOrig.IP.SourceAddress != f.TupleReply.IP.DestinationAddress || f.TupleOrig.IP.DestinationAddress != f.TupleReply.IP.SourceAddress
		if !translated || !slices.Contains(lost, f.TupleOrig.IP.DestinationAddress.Unmap()) && !slices.Contains(lost, f.TupleReply.IP.DestinationAddress.Unmap()) {
			continue
		}
		if err := c.Delete(f); err == nil {
			n++
		} else if !errors.Is(err, unix.ENOENT) { // it may have ended
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return n, fmt.Errorf("end %d conntrack entries: %w", len(errs), errs[0])
	}
	return n, nil
}
