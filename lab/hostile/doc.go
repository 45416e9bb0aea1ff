// Package hostile attacks a router in a lab with frames that no decent host
// sends: forged sources, halves of connections, errors about the flows of
// others, floods. It is tests alone.
//
// A test says what must not arrive where. That something did not arrive is
// known when a packet that may pass, sent behind it on the same way, has.
package hostile
