// Package ids owns the matcher: it takes packets and says which Suricata rules match them and
// what is to become of them.
//
// An Engine holds what is shared: rules, configuration, state across flows. A Worker
// takes packets, in order, all those of a flow the same one; Worker.Packet leads
// each along the whole way:
//
//	decode → defragment → flow → stream → application layer → detect → verdict
//
// Results are deterministic: time is that of the packets, and nothing depends on how fast
// they come. Whatever a packet holds, it costs at most its own flow its
// inspection: a panic in a parser or in detection is caught, counted, and the flow is let
// through or blocked as Config.Failure says.
//
// Rules may be exchanged between two packets (Engine.Use); flows keep what they
// have remembered. The package opens no sockets and no files.
package ids
