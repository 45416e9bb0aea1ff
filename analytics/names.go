package analytics

import (
	"hash/maphash"
	"net"
	"sync"

	"ngfw.sh/internal/flowbatch"
)

// names makes the strings of rows: the rows of a batch, and those of the next, have
// few among them. As flowbatch.Names it keeps a bounded number. One goroutine at a
// time uses it.
type names struct {
	flowbatch.Names

	seed maphash.Seed
	macs [1 << 10]struct {
		mac  [6]byte
		text string
	}
	sought [1 << 12]struct{ hostname, app, ruleName, words string }
}

var namesPool = sync.Pool{New: func() any { return &names{seed: maphash.MakeSeed()} }}

// mac is a hardware address as the table has it.
func (n *names) mac(mac [6]byte) string {
	at := &n.macs[maphash.Bytes(n.seed, mac[:])%uint64(len(n.macs))]
	if at.mac != mac || at.text == "" {
		at.mac, at.text = mac, net.HardwareAddr(mac[:]).String()
	}
	return at.text
}

// words is wordsOf.
func (n *names) words(hostname, app, ruleName string) string {
	h := maphash.String(n.seed, hostname)*31 + maphash.String(n.seed, app)*7 + maphash.String(n.seed, ruleName)
	at := &n.sought[h%uint64(len(n.sought))]
	if at.hostname != hostname || at.app != app || at.ruleName != ruleName {
		at.hostname, at.app, at.ruleName, at.words = hostname, app, ruleName, wordsOf(hostname, app, ruleName)
	}
	return at.words
}
