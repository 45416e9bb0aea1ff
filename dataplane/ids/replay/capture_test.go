package replay

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzCapture reads whatever a capture may be: frames within their bounds, or an end.
func FuzzCapture(f *testing.F) {
	head := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	head = append(head, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0)
	f.Add(append(bytes.Clone(head), 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 'a', 'b', 'c'))
	block := []byte{0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0}
	f.Add(append(block, 1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := OpenCapture(bytes.NewReader(b))
		if err != nil {
			return
		}
		for range 10_000 {
			x, err := c.Next()
			if err != nil {
				return
			}
			if len(x.Data) > len(b) {
				t.Fatalf("a frame of %d bytes out of %d", len(x.Data), len(b))
			}
		}
		t.Fatal("frames without end")
	})
}
