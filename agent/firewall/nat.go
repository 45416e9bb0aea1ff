package firewall

import (
	"fmt"
	"hash/fnv"
	"reflect"

	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/policy"
)

// generation tells the numbers of an image's NAT table from those of the one before,
// while packets of both are under way. The same table of them has the same one, also
// after a restart.
func generation(now, before *policy.Image) uint8 {
	if before != nil && reflect.DeepEqual(now.NAT.Targets, before.NAT.Targets) && reflect.DeepEqual(now.NAT.Told, before.NAT.Told) {
		return before.NAT.Generation
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%+v", now.NAT.Targets)
	if len(now.NAT.Told) > 0 {
		fmt.Fprintf(h, "%+v", now.NAT.Told)
	}
	g := uint8(h.Sum32())
	if before != nil && g == before.NAT.Generation {
		g++
	}
	return g
}

// targets are those of an image and, while it takes over, of the one before.
func targets(now, before *policy.Image) []netfilter.Targets {
	var out []netfilter.Targets
	for _, im := range []*policy.Image{now, before} {
		if im == nil || len(im.NAT.Targets)+len(im.NAT.Told) == 0 || len(out) > 0 && out[0].Generation == im.NAT.Generation {
			continue
		}
		out = append(out, netfilter.Targets{Generation: im.NAT.Generation, Targets: im.NAT.Targets, Told: im.NAT.Told})
	}
	return out
}
