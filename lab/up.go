package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrInUse says that a lab of the name stands and is somebody's.
var ErrInUse = errors.New("is up already")

// Up makes a lab. What is left of an earlier one of the name is removed first;
// one that is whole and owned by nobody else's live process gives ErrInUse.
// Cancelling ctx, like any failure, leaves nothing behind.
func Up(ctx context.Context, cfg Config) (*Lab, error) {
	l, err := Named(cfg.Name)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("a lab needs root: network namespaces cannot be made otherwise (run with sudo)")
	}
	unlock, err := lockAll()
	if err != nil {
		return nil, err
	}
	defer unlock()

	if s, ok := l.State(); ok && s.Usable() {
		if s.Owner != nil {
			return nil, fmt.Errorf("lab %s %w, for process %d", l.name, ErrInUse, s.Owner.PID)
		}
		return nil, fmt.Errorf("lab %s %w", l.name, ErrInUse)
	}
	if err := l.clear(ctx); err != nil {
		return nil, fmt.Errorf("remove what is left of lab %s: %w", l.name, err)
	}
	if err := l.make(ctx, cfg); err != nil {
		err = fmt.Errorf("make lab %s: %w", l.name, err)
		return nil, errors.Join(err, l.clear(context.WithoutCancel(ctx)))
	}
	return l, nil
}

func (l *Lab) make(ctx context.Context, cfg Config) error {
	if err := os.Mkdir(l.Dir(), 0o700); err != nil {
		return err
	}
	state := State{Name: l.name, Forward: cfg.Forward, Created: time.Now().UTC().Truncate(time.Second)}
	if cfg.Owner.PID != 0 {
		state.Owner = &cfg.Owner
	}
	// Recorded before anything exists, so that an interrupted attempt is seen.
	if err := l.record(state); err != nil {
		return err
	}
	if err := os.Mkdir(l.BPFDir(), 0o700); err != nil {
		return err
	}
	if err := unix.Mount("bpf", l.BPFDir(), "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount a bpf file system: %w", err)
	}
	for _, host := range Hosts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := makeNamespace(l.Namespace(host), func() error { return prepareHost(host) }); err != nil {
			return err
		}
	}
	for _, s := range Segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.cable(s); err != nil {
			return err
		}
	}
	if err := l.routes(cfg); err != nil {
		return err
	}
	for _, host := range Hosts {
		if err := l.In(host, func() error { return waitForLinks(ctx) }); err != nil {
			return err
		}
	}
	state.Ready = true
	return l.record(state)
}

func prepareHost(host string) error {
	if err := writeSysctls(hostSysctls); err != nil {
		return err
	}
	if host == RTR {
		if err := writeSysctls(routerSysctls); err != nil {
			return err
		}
	}
	return address("lo")
}

func (l *Lab) routes(cfg Config) error {
	for _, s := range Segments {
		if s.Host == INET || s.Host == MGMT {
			continue
		}
		if err := l.In(s.Host, func() error { return defaultRoutes(s.Router4.Addr(), s.Router6.Addr()) }); err != nil {
			return err
		}
	}
	wan, _ := SegmentOf(INET)
	err := l.In(RTR, func() error {
		if cfg.Forward {
			if err := writeSysctls(forwardSysctls); err != nil {
				return err
			}
		}
		return defaultRoutes(wan.Host4.Addr(), wan.Host6.Addr())
	})
	if err != nil {
		return err
	}
	return l.In(INET, func() error {
		if err := far(); err != nil {
			return err
		}
		for _, s := range Segments {
			if s.Host == INET || s.Host == MGMT {
				continue
			}
			if err := route(s.Host6.Masked(), wan.Router6.Addr()); err != nil {
				return err
			}
			// A filtering router masquerades IPv4. Without this route a private
			// address that leaks shows as a connection that fails.
			if cfg.Forward {
				if err := route(s.Host4.Masked(), wan.Router4.Addr()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// far gives the current namespace the addresses that are not on a cable.
func far() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, a := range Far {
		addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))}
		if a.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(lo, addr); err != nil {
			return fmt.Errorf("give inet the address %s: %w", a, err)
		}
	}
	return nil
}
