package policy

import (
	"encoding/json"
	"strings"
)

func (d decoder) natRule(path string, v any) NATRule {
	n := NATRule{Enabled: true, Protocol: "all", Source: "any", Destination: "any", Hairpin: true}
	r, ok := newRecord(d.found, path, v)
	if !ok {
		return n
	}
	r.ignore("packets", "bytes")
	d.id(r, &n.ID)
	r.text("name", &n.Name)
	r.flag("enabled", &n.Enabled)
	r.text("interface", &n.Interface)
	r.flag("hairpin", &n.Hairpin)
	r.flag("log", &n.Log)
	if isForward(r.object) {
		d.forward(r, &n)
		r.done()
		return n
	}
	r.require("name", "nat_type")
	r.text("nat_type", &n.Type)
	d.protocol(r, &n.Protocol)
	r.text("source", &n.Source)
	r.text("source_port", &n.SourcePort)
	r.text("destination", &n.Destination)
	r.text("destination_port", &n.DestinationPort)
	r.text("translate_to", &n.TranslateTo)
	r.text("translate_port", &n.TranslatePort)
	r.done()
	return n
}

// isForward finds the short form of a port forward.
func isForward(o *object) bool {
	return o.value("external_port") != nil || o.value("internal_ip") != nil || o.value("internal_port") != nil
}

// forward reads {name,external_port,internal_ip,internal_port,protocol} as the
// dnat that it stands for: from the router's own addresses.
func (d decoder) forward(r *record, n *NATRule) {
	n.Type, n.Destination = NATDestination, "self"
	r.require("name", "external_port", "internal_ip", "protocol")
	r.text("source", &n.Source)
	r.text("internal_ip", &n.TranslateTo)
	if item, err := parseAddressItem(strings.TrimSpace(n.TranslateTo)); n.TranslateTo != "" && (err != nil || item.kind != addressOne) {
		d.found.add(r.member("internal_ip"), "%q is no IP address", n.TranslateTo)
	}
	r.portText("external_port", &n.DestinationPort)
	r.portText("internal_port", &n.TranslatePort)
	if n.TranslatePort == n.DestinationPort {
		n.TranslatePort = "" // the port stays
	}
	r.text("protocol", &n.Protocol)
	switch n.Protocol {
	case "tcp", "udp":
	case "both":
		n.Protocol = "tcp+udp"
	case "all": // missing
	default:
		d.found.add(r.member("protocol"), "%q is not forwarded by port: write tcp, udp or both", n.Protocol)
	}
}

// portText reads a port or a range of ports, as a number or a text.
func (r *record) portText(name string, to *string) {
	v, ok := r.value(name)
	if !ok {
		return
	}
	if n, isNumber := v.(json.Number); isNumber {
		*to = n.String()
	} else {
		r.text(name, to)
	}
	if _, err := parsePortRange(strings.TrimSpace(*to)); err != nil {
		r.found.add(r.member(name), "%q is no port: write a number from 0 to 65535, or a range as in 8000-8010", *to)
	}
}
