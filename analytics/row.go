package analytics

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

// stamp is what all rows of a batch have in common.
type stamp struct {
	orgID, deviceID, epoch string
	origin                 uint64 // stands for device and epoch in ids and in the order of rows
	number                 uint64
	retention              uint16 // days
	day                    int32  // of the newest row, in days since 1970: the partition
	newest                 int64  // its time, µs since 1970
}

// originOf is stable for ever: ids that were given out contain it.
func originOf(deviceID, epoch string) uint64 {
	h := sha256.Sum256([]byte(deviceID + "\x00" + epoch))
	return binary.BigEndian.Uint64(h[:8])
}

type event int8

const (
	eventOpen event = iota + 1
	eventUpdate
	eventClose
	eventRefused
)

var eventNames = [...]string{"", "open", "update", "close", "refused"}

func (e event) String() string { return eventNames[e] }

type action int8

const (
	actionAccept action = iota + 1
	actionDrop
	actionReject
)

// actionNames are the values from 1 on, as the proto's Verdict numbers them.
var actionNames = [...]string{"", "accept", "drop", "reject"}

func (a action) String() string { return actionNames[a] }

// key is what rows of every table have: it names the row and orders the table.
type key struct {
	*stamp
	n    uint32 // place in the batch
	time int64  // Unix microseconds
}

// row is one flow event as it is stored, filtered and shown.
type row struct {
	key

	event    event
	action   action
	protocol uint8
	flowID   uint64
	src, dst netip.Addr // never a mapped IPv4
	srcPort  uint16
	dstPort  uint16

	interfaceIn, interfaceOut string
	zoneFrom, zoneTo          string

	ruleID   int64 // 0: none
	ruleName string
	reason   string
	revision int64

	packetsSent, packetsReceived uint64
	bytesSent, bytesReceived     uint64
	duration                     uint64 // microseconds
	count                        uint32
	icmpType, icmpCode           uint8

	natSrc, natDst         netip.Addr // invalid: not translated
	natSrcPort, natDstPort uint16

	mac, app, geo, threat, hostname string
	words                           string // what q searches
}

// wordsOf is the text that q is looked for in. It is stored, so that SQL and
// Go fold case alike.
func wordsOf(hostname, app, ruleName string) string {
	if hostname == "" && app == "" && ruleName == "" {
		return ""
	}
	return strings.ToLower(hostname + "\n" + app + "\n" + ruleName)
}

// id names the row for ever.
func (k *key) id() string {
	b := make([]byte, 8, 8+2*binary.MaxVarintLen64)
	binary.BigEndian.PutUint64(b, k.origin)
	b = binary.AppendUvarint(b, k.number)
	b = binary.AppendUvarint(b, uint64(k.n))
	return base64.RawURLEncoding.EncodeToString(b)
}

func dayOf(micros int64) int32 { return int32(micros / (24 * time.Hour).Microseconds()) }
