package analytics

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"ngfw.sh/internal/fault"
)

// place is where a row stands in the order of the log: by time, and within a
// microsecond by what makes the row unique. As text it is the opaque cursor of
// the page that ends with the row.
type place struct {
	time   int64
	origin uint64
	number uint64
	n      uint32
}

func (k *key) place() place { return place{k.time, k.origin, k.number, k.n} }

// placeVersion is the first byte of a cursor.
const placeVersion = 1

func (p place) String() string {
	b := []byte{placeVersion}
	b = binary.AppendVarint(b, p.time)
	b = binary.BigEndian.AppendUint64(b, p.origin)
	b = binary.AppendUvarint(b, p.number)
	b = binary.AppendUvarint(b, uint64(p.n))
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePlace(s string) (place, error) {
	var p place
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil && len(b) > 0 && b[0] == placeVersion {
		b = b[1:]
		var k int
		if p.time, k = binary.Varint(b); k > 0 && len(b) >= k+8 {
			p.origin = binary.BigEndian.Uint64(b[k:])
			b = b[k+8:]
			if p.number, k = binary.Uvarint(b); k > 0 {
				n, m := binary.Uvarint(b[k:])
				if m > 0 && m == len(b)-k && n <= math.MaxUint32 && p.time > 0 && p.time/1e6 <= maxTime {
					p.n = uint32(n)
					return p, nil
				}
			}
		}
	}
	return place{}, fault.Invalid("cursor", "is not a cursor of this log")
}

// after adds the condition that rows come behind the place, newest first.
func (p place) after(w *where) {
	at := w.bindTime(p.time)
	w.and("ts <= " + at) // what the key can use
	w.and("(ts < " + at + " OR (origin, batch, row) < (" +
		w.bind("UInt64", p.origin) + ", " + w.bind("UInt64", p.number) + ", " + w.bind("UInt32", p.n) + "))")
}
