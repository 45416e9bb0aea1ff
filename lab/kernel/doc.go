// Package kernel owns other kernels than the running one: it boots Debian's,
// under emulation, runs compiled Go tests in them and hands back what the tests
// said. It is for correctness alone: emulated, everything takes ten to twenty
// times longer.
//
// A machine has no disk, no network of its own and nothing of this one's file
// system: all it needs is in its initial RAM file system (package guest is its
// init), so nothing that runs in it can leave anything behind here. A machine
// is one process and ends with the context that it was started with.
//
// A step that says nothing for long is asked where it hangs, and ended; the rest of
// the plan follows. A machine that says nothing at all ends.
//
// Kernels are fetched by fetch.sh with apt and are kept in the cache.
package kernel
