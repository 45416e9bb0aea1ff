// Package e2e holds the tests of the whole, over the very path of `make run`:
// the built programs, started by ngfw-lab, with a real cloud and its analytics
// engine, the agent in the lab's router, real packets by real clients. It
// contains tests alone.
//
// Each test has a run of its own, under a name, a directory and ports of its
// own, so that it stands beside any other. When the run ends the test fails if
// anything of it is left: namespace, mount, process, file.
//
// The programs are built once per test binary; under -race with the race
// detector in them. Without root the tests are skipped with a word about it,
// and fail where CI is set to true.
package e2e
