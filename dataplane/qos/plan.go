package qos

import (
	"slices"

	"github.com/vishvananda/netlink"
)

// plan is what is to be on which device; Divert of a link is 1 where it has an ifb.
func plan(c Config, ports Ports, mirror bool) (stages []stage, links map[string]Link, lacking []string, err error) {
	links = map[string]Link{}
	for _, name := range ports.Uplinks {
		l, err := netlink.LinkByName(name)
		if err != nil {
			continue // it may come later
		}
		stages = append(stages, stage{port: name, device: name, upload: true, filter: FilterLink, tree: linkTree(c, c.Upload)})
		links[name] = Link{Uplink: true}
		down := stage{port: name, device: ifbOf(l.Attrs().Index), ifb: true, filter: FilterLink, tree: linkTree(c, c.Download)}
		if mirror || l.Attrs().EncapType != "ether" {
			down.mirror = []string{name}
		} else {
			links[name] = Link{Uplink: true, Divert: 1}
		}
		stages = append(stages, down)
	}
	if len(links) == 0 {
		lacking = append(lacking, "qos: no interface of zone WAN is there, nothing is shaped")
		return stages, links, lacking, nil
	}
	up, down := c.limits(true), c.limits(false)
	inside := stage{device: ifbInside, ifb: true, upload: true, filter: FilterUpload, tree: deviceTree(c, true)}
	for _, name := range ports.Inside {
		l, err := netlink.LinkByName(name)
		if err != nil || l.Attrs().EncapType != "ether" || slices.Contains(ports.Uplinks, name) {
			continue
		}
		switch {
		case up && mirror:
			inside.mirror = append(inside.mirror, name)
		case up:
			links[name] = Link{Divert: 1}
		}
		if down {
			stages = append(stages, stage{port: name, device: name, filter: FilterDownload, tree: deviceTree(c, false)})
		}
	}
	if up {
		stages = append(stages, inside)
	}
	return stages, links, lacking, nil
}
