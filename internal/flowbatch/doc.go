// Package flowbatch owns the flow events of a batch as they came over the wire:
// bytes until somebody reads them, one at a time.
//
// A batch of a thousand events is a thousand messages of forty fields, most of
// them names that the row before had, too. Made whole they are what a service
// that takes many batches spends most of its memory and time on, so Unmarshal
// leaves them where the protobuf runtime keeps what it does not know: in the
// batch's unknown fields. The batch stays what it was: its size is right, and
// written again it is the same bytes. Events reads them, and those of a batch
// that was made whole or built in this process just as well.
//
// Reading means what the protobuf runtime means by it, which a fuzz test holds,
// but for one thing: an event that is no event is one that cannot be read, and
// the others of its batch can.
//
// Names is for one goroutine at a time; everything else is free of state.
package flowbatch
