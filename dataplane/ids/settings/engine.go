package settings

import (
	"fmt"
	"net/netip"
	"strings"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/defrag"
	"ngfw.sh/dataplane/ids/stream"
)

const second = 1e9

func (s *Settings) stream(rest string, e entry) (bool, error) {
	c := &s.Engine.Stream
	var err error
	var size uint64
	switch rest {
	case "midstream":
		c.Midstream, err = e.bool()
	case "async-oneside":
		c.AsyncOneside, err = e.bool()
	case "inline":
		if v, bad := e.oneOf("auto", "yes", "no", "true", "false"); bad != nil {
			err = bad
		} else if v != "auto" {
			c.Inline, err = e.bool()
		}
	case "midstream-policy":
		s.exception.midstream, err = e.policy()
	case "memcap-policy", "reassembly.memcap-policy":
		s.exception.streamMemory, err = e.policy()
	case "memcap":
		_, err = e.size() // sessions are bounded by their number
	case "reassembly.memcap":
		size, err = e.size()
		c.Memory = int(size)
	case "reassembly.depth":
		c.Depth, err = e.size()
	case "reassembly.toserver-chunk-size":
		c.Chunks[0], err = e.int(1, 1<<20)
	case "reassembly.toclient-chunk-size":
		c.Chunks[1], err = e.int(1, 1<<20)
	case "reassembly.randomize-chunk-size":
		_, err = e.bool() // never: results are deterministic
	case "reassembly.max-regions", "reassembly.max-segments":
		c.MaxSpans, err = e.int(1, 1<<20)
	case "reassembly.urgent.policy":
		var v string
		if v, err = e.oneOf("oob", "inline", "drop", "gap"); err == nil {
			c.Urgent = map[string]stream.Urgent{"oob": stream.UrgentOutOfBand, "inline": stream.UrgentInline, "drop": stream.UrgentDrop, "gap": stream.UrgentGap}[v]
		}
	case "checksum-validation":
		s.Engine.Packet.Checksums, err = e.bool()
	case "drop-invalid":
		s.Engine.DropInvalid, err = e.bool()
	case "bypass":
		s.Engine.StreamBypass, err = e.bool()
	case "max-syn-queued":
		c.MaxSyns, err = e.int(0, 255)
	case "max-synack-queued":
		c.MaxSynAcks, err = e.int(0, 255)
	default:
		return false, nil
	}
	return true, err
}

func (s *Settings) defrag(rest string, e entry) (bool, error) {
	c := &s.Engine.Defrag
	var err error
	var size uint64
	var n int
	switch rest {
	case "timeout":
		n, err = e.int(1, 3600)
		c.Timeout = int64(n) * second
	case "memcap":
		size, err = e.size()
		c.Memory = int(size)
	case "trackers", "hash-size":
		n, err = e.int(1, 1<<24)
		if rest == "trackers" {
			c.Trackers = n
		}
	case "memcap-policy":
		s.exception.fragments, err = e.policy()
	default:
		return false, nil
	}
	return true, err
}

func (s *Settings) timeout(rest string, e entry) (bool, error) {
	class, state, _ := strings.Cut(rest, ".")
	at, ok := map[string]ids.Class{"default": ids.OtherFlow, "tcp": ids.TCPFlow, "udp": ids.UDPFlow, "icmp": ids.ICMPFlow}[class]
	if !ok {
		return false, nil
	}
	x := s.Engine.Flows.Timeouts[at]
	into := map[string]*int64{"new": &x.New, "established": &x.Established, "closed": &x.Closed, "bypassed": &x.Bypassed}[state]
	if into == nil {
		return false, nil
	}
	n, err := e.int(0, 1<<20)
	*into = int64(n) * second
	s.Engine.Flows.Timeouts[at] = x
	return true, err
}

func (s *Settings) flow(rest string, e entry) (bool, error) {
	switch rest {
	case "memcap":
		// A flow takes about half a KiB beside its streams, which have a limit of their own.
		size, err := e.size()
		s.Engine.Flows.Max = max(1024, int(size/512))
		return true, err
	case "memcap-policy":
		var err error
		s.exception.flowMemory, err = e.policy()
		return true, err
	case "rate-tracking.bytes":
		var err error
		s.Engine.Flows.Elephant.Bytes, err = e.size()
		return true, err
	case "rate-tracking.interval":
		var err error
		s.Engine.Flows.Elephant.Seconds, err = e.int(1, 3600)
		return true, err
	}
	return false, nil
}

func (s *Settings) decoder(rest string, e entry) (bool, error) {
	c := &s.Engine.Packet
	tunnel, key, _ := strings.Cut(rest, ".")
	ports := map[string]*[]uint16{"teredo": &c.TeredoPorts, "vxlan": &c.VXLANPorts, "geneve": &c.GenevePorts}[tunnel]
	var err error
	switch {
	case ports != nil && key == "enabled":
		var on bool
		if on, err = e.bool(); err == nil && !on {
			*ports = nil
		}
	case ports != nil && key == "ports":
		if value, ok := strings.CutPrefix(e.value, "$"); ok {
			e.value = s.Variables.Ports[value]
		}
		*ports, err = e.ports()
	case rest == "erspan.typeI.enabled":
		c.ERSPANType1, err = e.bool()
	case rest == "max-layers":
		c.MaxLayers, err = e.int(1, 255)
	default:
		return false, nil
	}
	return true, err
}

// hostPolicy adds an address to those of an operating system.
func (s *Settings) hostPolicy(rest string, e entry) (bool, error) {
	system, _, _ := strings.Cut(rest, ".")
	p, ok := systems[system]
	if !ok {
		return false, nil
	}
	for _, word := range strings.FieldsFunc(strings.Trim(e.value, "[]"), func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := parsePrefix(word)
		if err != nil {
			return true, err
		}
		s.hosts(prefix, p)
	}
	return true, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is no address and no network", s)
	}
	return p.Masked(), nil
}

// system is how an operating system treats overlaps.
type system struct {
	segments  stream.Policy
	fragments defrag.Policy
}

var systems = map[string]system{
	"windows":     {stream.Windows, defrag.Windows},
	"windows2k3":  {stream.Windows2003, defrag.Windows},
	"vista":       {stream.Vista, defrag.Windows},
	"bsd":         {stream.BSD, defrag.BSD},
	"bsd-right":   {stream.BSD, defrag.BSDRight},
	"old-linux":   {stream.OldLinux, defrag.Linux},
	"linux":       {stream.Linux, defrag.Linux},
	"old-solaris": {stream.Solaris, defrag.First},
	"solaris":     {stream.Solaris, defrag.Solaris},
	"hpux10":      {stream.HPUX10, defrag.First},
	"hpux11":      {stream.HPUX11, defrag.First},
	"irix":        {stream.IRIX, defrag.BSD},
	"macos":       {stream.MacOS, defrag.BSD},
	"first":       {stream.First, defrag.First},
	"last":        {stream.Last, defrag.Last},
}

// hosts gives hosts of a network a policy; the longest prefix counts.
func (s *Settings) hosts(prefix netip.Prefix, p system) {
	segments, fragments := s.Engine.Stream.Policy, s.Engine.Defrag.Policy
	s.prefixes = append(s.prefixes, hostPolicy{prefix, p})
	if len(s.prefixes) > 1 {
		return
	}
	longest := func(a netip.Addr) (found system, ok bool) {
		best := -1
		for _, h := range s.prefixes {
			if h.prefix.Contains(a) && h.prefix.Bits() > best {
				best, found = h.prefix.Bits(), h.system
			}
		}
		return found, best >= 0
	}
	s.Engine.Stream.Policy = func(a netip.Addr) stream.Policy {
		if p, ok := longest(a); ok {
			return p.segments
		}
		return segments(a)
	}
	s.Engine.Defrag.Policy = func(a netip.Addr) defrag.Policy {
		if p, ok := longest(a); ok {
			return p.fragments
		}
		return fragments(a)
	}
}

type hostPolicy struct {
	prefix netip.Prefix
	system system
}
