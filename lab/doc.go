// Package lab owns a small network made of network namespaces: clients, a
// router and an internet, joined by veth pairs, on one machine and apart from
// its own network.
//
//	lan1 ─┐
//	lan2 ─┼─ rtr ── wan ── inet
//	iot1 ─┘   └── mgmt0 ── mgmt
//
// A lab has a name. Its namespaces are called ngfw-NAME-HOST and everything
// else that it keeps lies below /run/ngfw-lab/NAME, so several labs stand side
// by side and nothing foreign is ever touched. The machine's own namespace gets
// no interface, address or route.
//
// Up makes a lab whole or not at all; Down removes whatever is left of one,
// from any state in which Up, Down or a crash may have left it. Both hold a
// lock on /run/ngfw-lab, so calls from several processes follow each other.
//
// The package knows topology only. What runs in a lab is elsewhere: lab/server
// (the servers of inet), lab/traffic (the clients), lab/stack (cloud and agent
// around it), lab/labtest (labs for Go tests).
package lab
