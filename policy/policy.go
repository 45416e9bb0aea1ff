// Package policy owns what a firewall policy says and means: the model, its
// validation, a plain reference evaluator, and the compiler to the table image
// that the packet programs enforce. docs/policy.md states the semantics.
//
// It is pure: no I/O, no clock, no kernel. Everything that reads a policy
// (cloud, agent, simulation, analysis) reads it through this package, so there
// is one meaning.
package policy

// Policy is everything that decides about packets. Its JSON form is that of
// the API's resources; a decoded Policy has every default filled in.
type Policy struct {
	Revision int64     `json:"revision,omitempty"`
	Zones    []Zone    `json:"zones"`
	Groups   []Group   `json:"groups,omitempty"`
	Rules    []Rule    `json:"rules"`    // in order: the first match decides
	Policies []Default `json:"policies"` // where no rule matches
	NAT      []NATRule `json:"nat,omitempty"`
	TimeZone string    `json:"time_zone,omitempty"` // IANA name, default UTC

	// SelfAddresses are the router's own addresses, where they are stated
	// (policy eval) and not learnt from the kernel.
	SelfAddresses []string `json:"self_addresses,omitempty"`
}

// ZoneSelf is the router itself, ZoneAny every zone except it.
const (
	ZoneSelf = "SELF"
	ZoneAny  = "any"
)

// Zone is a set of interfaces, by name: an interface joins when it appears.
type Zone struct {
	ID          int64    `json:"id,omitempty"`
	Name        string   `json:"name"`
	Interfaces  []string `json:"interfaces"`
	Masquerade  bool     `json:"masquerade"`   // IPv4 source NAT for what leaves here
	MSSClamping bool     `json:"mss_clamping"` // clamp TCP MSS to the path MTU
}

// Group is a named list that rules refer to as @name.
type Group struct {
	ID      int64    `json:"id,omitempty"`
	Name    string   `json:"name"`
	Type    string   `json:"type"` // address, port, mac
	Members []string `json:"members"`
}

// Action is what happens to a flow.
type Action string

const (
	Accept Action = "accept"
	Drop   Action = "drop"
	Reject Action = "reject"
)

// Rule judges the first packet of a flow.
type Rule struct {
	ID          int64    `json:"id,omitempty"`
	Name        string   `json:"name"`
	Enabled     bool     `json:"enabled"`
	ZoneFrom    string   `json:"zone_from"`
	ZoneTo      string   `json:"zone_to"`
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Protocol    string   `json:"protocol"`
	Port        string   `json:"port"`
	ICMPTypes   []string `json:"icmp_types,omitempty"`
	Action      Action   `json:"action"`
	Schedule    Schedule `json:"schedule"`
	Log         bool     `json:"log"`
}

// Schedule restricts a rule to a daily window in the policy's time zone.
type Schedule struct {
	Enabled bool   `json:"enabled"`
	Start   string `json:"start"` // "HH:MM"
	End     string `json:"end"`   // "HH:MM", the minute included
	Days    []int  `json:"days"`  // 0 = Sunday
}

// Default is a zone pair's policy.
type Default struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Action Action `json:"action"`
	Log    bool   `json:"log"`
}

// NATRule translates addresses; see api.md "nat".
type NATRule struct {
	ID              int64  `json:"id,omitempty"`
	Name            string `json:"name"`
	Enabled         bool   `json:"enabled"`
	Type            string `json:"nat_type"` // dnat, snat, 1:1, masquerade, netmap
	Protocol        string `json:"protocol"`
	Source          string `json:"source"`
	SourcePort      string `json:"source_port,omitempty"`
	Destination     string `json:"destination"`
	DestinationPort string `json:"destination_port,omitempty"`
	TranslateTo     string `json:"translate_to"`
	TranslatePort   string `json:"translate_port,omitempty"`
	Interface       string `json:"interface,omitempty"`
	Hairpin         bool   `json:"hairpin"`
	Log             bool   `json:"log"`
}
