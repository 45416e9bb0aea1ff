package chdb

import (
	"sync"
	"syscall"
	"unsafe"
)

// The engine resets the handlers of these signals to the default, also when it
// is told to keep its own away (chdb_set_signal_handlers_enabled, chdb_connect). Go
// needs its own: without them a nil dereference ends the process where it
// should be a panic.
var resetByEngine = [...]uintptr{
	uintptr(syscall.SIGABRT), uintptr(syscall.SIGSEGV), uintptr(syscall.SIGILL), uintptr(syscall.SIGBUS),
	uintptr(syscall.SIGSYS), uintptr(syscall.SIGFPE), uintptr(syscall.SIGTSTP), uintptr(syscall.SIGTRAP),
}

// kernelSigaction is struct sigaction of rt_sigaction(2): handler, flags,
// restorer, mask on amd64; arm64 has no restorer and is smaller.
type kernelSigaction [4]uint64

var signalsMu sync.Mutex

// keepSignals runs f and puts the handlers back that were there before.
func keepSignals(f func()) {
	signalsMu.Lock()
	defer signalsMu.Unlock()
	var before [len(resetByEngine)]kernelSigaction
	for i, sig := range resetByEngine {
		sigaction(sig, nil, &before[i])
	}
	f()
	for i, sig := range resetByEngine {
		sigaction(sig, &before[i], nil)
	}
}

// sigaction cannot fail with a valid signal and valid memory.
func sigaction(sig uintptr, set, get *kernelSigaction) {
	const maskSize = 8
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), maskSize, 0, 0)
}
