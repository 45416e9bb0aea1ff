// Package rule owns the Suricata rule language: the parser, the typed form of a
// rule, its checks, its canonical text, and the files that go with rules
// (classification.config, reference.config, threshold.config). It follows the
// Suricata 8 manual.
//
// # What a matcher reads
//
// A Rule is resolved as far as it alone allows. Older forms are gone: a content
// with http_uri, an uricontent and a content after http.uri are the same; so are
// filename and a content of file.name, urilen and bsize of http.uri. What is left:
//
//   - Header: Protocol, Source and Destination (expressions, since variables may
//     change; a Resolver turns each into a set once), Direction. Rules are grouped
//     by Protocol.Transports, ports and Apps. Rules of application protocols are not
//     bound to the protocol's ports. Ports of a protocol without any are not looked at.
//   - Conditions: all must hold, and none looks at a buffer. Integer covers every
//     keyword that compares a number. The flow keyword is a condition too; ToServer
//     and ToClient have its direction, and that of the buffers, already in them.
//   - Buffers: all must match, each by itself, in any order but one that has variables
//     set before they are used (the order of Buffers does). A Buffer is a kind (where
//     the bytes come from), transforms, and matches in the order of the text. A
//     matcher may share the work for equal kinds and transforms among rules.
//   - Fast: the bytes to put into the search over all rules, per kind of buffer and
//     transforms: the author's choice, else the content that is likely to be rarest.
//     Length 0: the rule has none, and is evaluated by its Conditions (Prefilter names
//     the one to begin with) and groups. A Buffer with Absent never has it when the
//     rule could match without the buffer. NoCase of the content holds for it.
//   - Effects, Threshold, Filter, Alerts: after the match, in this order: Filter says
//     whether there was a match; Effects happen; Threshold says whether it is told.
//
// Within a Buffer, "the match before" is that of the text. With none before,
// relative matches count from the buffer's beginning. Negated contents do not move it,
// nor do ByteTest, ByteExtract, ByteMath and DataAt. Bounds are as the manual has them
// (section "Payload Keywords"): Depth counts from Offset, Within from Distance.
// A Base64Decode feeds the one Buffer of the kind base64_data that follows.
//
// # What is refused
//
// Unknown keywords, with the nearest known name; known ones that are not
// supported, by name (see refused); values out of their form; rules that can
// never match, such as a content longer than its bsize or buffers of both
// directions. Every refusal has a line and a column. Names of events, frames and sets are the
// engine's to judge, and so is whether a regular expression compiles: here only what is
// broken for every engine is refused. A rule whose requires is not met is
// neither refused nor in force (Rule.Unmet).
//
// # Invariants
//
// Parsing the canonical text of a rule gives an equal rule. The package does no
// I/O and reads no clock. Rules are immutable and may be read by several
// goroutines; a Parser and a Resolver are for one at a time.
package rule
