package qos

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// Remove takes everything of ours off this machine's interfaces.
func Remove() error { return sweep(nil) }

// sweep removes our trees and ifbs but those of stages.
func sweep(stages []stage) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	wanted, mirrored := map[string]bool{}, map[string]bool{}
	for _, st := range stages {
		wanted[st.device] = true
		for _, name := range st.mirror {
			mirrored[name] = true
		}
	}
	queues, err := netlink.QdiscList(nil)
	if err != nil {
		return fmt.Errorf("list queueing disciplines: %w", err)
	}
	shaped, filtered := map[int]bool{}, map[int]bool{}
	for _, q := range queues {
		if q.Type() == "clsact" {
			filtered[q.Attrs().LinkIndex] = true
		}
		if a := q.Attrs(); a.Parent == netlink.HANDLE_ROOT && a.Handle == major<<16 {
			shaped[a.LinkIndex] = true
		}
	}
	var errs []error
	for _, l := range links { // before their ifbs go
		if filtered[l.Attrs().Index] && !mirrored[l.Attrs().Name] {
			errs = append(errs, undivert(l))
		}
	}
	for _, l := range links {
		name := l.Attrs().Name
		switch {
		case wanted[name]:
		case l.Type() == "ifb" && strings.HasPrefix(name, ifbPrefix):
			if err := netlink.LinkDel(l); err != nil {
				errs = append(errs, fmt.Errorf("remove the ifb %s: %w", name, err))
			}
		case shaped[l.Attrs().Index]:
			errs = append(errs, dropRoot(l))
		}
	}
	return errors.Join(errs...)
}
