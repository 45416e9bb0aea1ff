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
	return end(func(f *conntrack.Flow) bool {
		translated := redirected(f) || f.TupleOrig.IP.SourceAddress != f.TupleReply.IP.DestinationAddress
		return translated && (slices.Contains(lost, f.TupleOrig.IP.DestinationAddress.Unmap()) || slices.Contains(lost, f.TupleReply.IP.DestinationAddress.Unmap()))
	})
}

// Renew ends conntrack's entries with another destination that the packet programs
// cannot end when its NAT rule changes: those of other protocols than TCP and UDP.
// Flows whose rule has not changed go on with an entry of their next packet.
func Renew() (n int, err error) {
	return end(func(f *conntrack.Flow) bool {
		return redirected(f) && f.TupleOrig.Proto.Protocol != unix.IPPROTO_TCP && f.TupleOrig.Proto.Protocol != unix.IPPROTO_UDP
	})
}

func redirected(f *conntrack.Flow) bool {
	return f.TupleOrig.IP.DestinationAddress != f.TupleReply.IP.SourceAddress
}

func end(which func(*conntrack.Flow) bool) (n int, err error) {
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
	for i := range all {
		if !which(&all[i]) {
			continue
		}
		if err := c.Delete(all[i]); err == nil {
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
