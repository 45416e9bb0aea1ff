package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ownAddresses are the router's, sorted, so that two readings can be compared.
func ownAddresses() ([]netip.Addr, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok && !ip.IsLoopback() {
			out = append(out, ip.Unmap())
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out), nil
}

// watchAddresses calls changed after each change of the router's addresses.
func watchAddresses(ctx context.Context, log *slog.Logger, changed func() error) error {
	updates := make(chan netlink.AddrUpdate, 64)
	done := make(chan struct{})
	defer close(done)
	if err := netlink.AddrSubscribe(updates, done); err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-updates:
			if !ok {
				return fmt.Errorf("watch addresses: the kernel closed the subscription")
			}
			if err := changed(); err != nil {
				log.Error("rules that name the router itself keep its old addresses", "err", err)
			}
		}
	}
}

// enableForwarding makes the machine a router, once its backstop is loaded.
// Conntrack stays strict about TCP sequence numbers: liberal, it would believe
// a reset with any number, and forget the connection of whoever is silent for
// ten seconds. It may be, as every packet passes it.
func enableForwarding() error {
	for _, path := range []string{
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/net/ipv6/conf/all/forwarding",
		"/proc/sys/net/ipv6/conf/default/forwarding",
	} {
		if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", path, err)
		}
	}
	return nil
}

// reload reads the policy file again on SIGHUP. A bad file leaves the old policy.
func (a *Agent) reload(ctx context.Context) error {
	if a.cfg.PolicyFile == "" {
		return nil
	}
	again := make(chan os.Signal, 1)
	signal.Notify(again, unix.SIGHUP)
	defer signal.Stop(again)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again:
			err := a.enforceFile(ctx)
			a.refused.note(err)
			if err != nil {
				a.log.Error("what could not be read again stays as it was", "err", err)
				continue
			}
			a.log.Info("policy read again", "file", a.cfg.PolicyFile, "revision", a.firewall.Version())
		}
	}
}

// refusedFile is why what was read again is not in force; status shows it. The zero
// value is ready.
type refusedFile struct{ why atomic.Pointer[string] }

func (r *refusedFile) note(err error) {
	if err == nil {
		r.why.Store(nil)
		return
	}
	lines := strings.Split(err.Error(), "\n")
	why := "policy_file: read again, and what is wrong stays as it was: " + lines[0]
	if n := len(lines) - 1; n > 0 {
		why += fmt.Sprintf(" (and %d more, see the log)", n)
	}
	r.why.Store(&why)
}

func (r *refusedFile) Degraded() []string {
	if why := r.why.Load(); why != nil {
		return []string{*why}
	}
	return nil
}
