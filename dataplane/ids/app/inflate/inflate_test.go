package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func collect(said Format, in []byte, cut func() int) ([]byte, *Stream) {
	var out []byte
	s := NewStream(said)
	emit := func(b []byte) bool { out = append(out, b...); return true }
	for len(in) > 0 {
		n := min(max(cut(), 1), len(in))
		s.Write(in[:n], emit)
		in = in[n:]
	}
	s.Close(emit)
	return out, s
}

// Whatever the container, the level and the pieces, what went in comes out.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "unit")
		text := bytes.Repeat(unit, rapid.IntRange(1, 400).Draw(t, "times"))
		level := rapid.IntRange(-2, 9).Draw(t, "level")
		var b bytes.Buffer
		var w io.WriteCloser
		switch rapid.IntRange(0, 2).Draw(t, "format") {
		case 0:
			w, _ = gzip.NewWriterLevel(&b, level)
			w.(*gzip.Writer).Name = "name"
		case 1:
			w, _ = zlib.NewWriterLevel(&b, level)
		default:
			w, _ = flate.NewWriter(&b, level)
		}
		w.Write(text)
		w.Close()
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		most := rapid.IntRange(1, 5000).Draw(t, "most")
		out, s := collect(Format(rapid.IntRange(0, 1).Draw(t, "said")), b.Bytes(), func() int { return random.IntN(most) })
		if !bytes.Equal(out, text) {
			t.Fatalf("%d bytes came out, want %d", len(out), len(text))
		}
		if s.Failed {
			t.Fatal("it failed")
		}
	})
}

func TestUnfinishedAndPlain(t *testing.T) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	text := strings.Repeat("what was told so far ", 10)
	io.WriteString(w, text)
	w.Flush()
	one := func() int { return 1 }
	if out, _ := collect(Deflate, b.Bytes(), one); string(out) != text {
		t.Errorf("unfinished: %q", out)
	}
	plain := []byte("\xff\xff\xff no deflate at all")
	if out, s := collect(Gzip, plain, one); !bytes.Equal(out, plain) || !s.Failed {
		t.Errorf("plain: %q, failed %v", out, s.Failed)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x8b, 0x30}, uint8(3))
	f.Add([]byte{0x78, 0x9c, 1, 2, 3}, uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		limit := 1 << 20
		var whole, parts []byte
		s := NewStream(Gzip)
		s.Write(in, func(b []byte) bool { whole = append(whole, b...); return len(whole) < limit })
		if len(whole) >= limit {
			return
		}
		s.Close(func(b []byte) bool { whole = append(whole, b...); return true })
		parts, _ = collect(Gzip, in, func() int { return int(cut) })
		if !bytes.Equal(whole, parts) {
			t.Fatalf("in pieces %d bytes, in one %d", len(parts), len(whole))
		}
		if raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), int64(limit))); err == nil {
			var z Raw
			var own []byte
			if _, err := z.Write(in, func(b []byte) bool { own = append(own, b...); return len(own) < limit }); err != nil || !bytes.HasPrefix(raw, own) {
				t.Fatalf("%v: %d bytes of ours, %d of the standard library's", err, len(own), len(raw))
			}
		}
	})
}
