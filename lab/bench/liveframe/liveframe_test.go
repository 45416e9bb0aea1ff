package liveframe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"ngfw.sh/lab"
)

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to load BPF programs")
	}
}

func TestMeasure(t *testing.T) {
	needsRoot(t)
	for _, flows := range []int{1, 1 << 15} {
		for _, c := range []Case{Plain, NFT, NFTMasquerade} {
			m, err := Measure(t.Context(), Config{Frames: 100_000, Rounds: 3, Flows: flows}, c)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%-28s %6d flows: %4.0f ns (%.0f less %.0f)", m.Case, m.Flows, m.Cost, m.Gross, m.Overhead)
			if m.Overhead <= 0 || m.Cost <= m.Overhead/10 {
				t.Errorf("%s costs nothing: %+v", c.Name, m)
			}
		}
	}
}

// A router that drops must not be measured as a fast one.
func TestLossIsNoSpeed(t *testing.T) {
	needsRoot(t)
	cfg := Config{Frames: 20_000, Rounds: 1, Flows: 2}
	drops := Case{Name: "half dropped", Prepare: nft(`table ip f { chain c { type filter hook forward priority 0; udp sport 10001 drop; }; }`)}
	if _, err := Measure(t.Context(), cfg, drops); !errors.Is(err, errLoss) {
		t.Errorf("got %v", err)
	}
	wrong := NFTMasquerade
	wrong.Name, wrong.Prepare = "not translated", NFT.Prepare
	if _, err := Measure(t.Context(), cfg, wrong); !errors.Is(err, errWrong) {
		t.Errorf("got %v", err)
	}
	uncounted := Plain
	uncounted.Packets = func(context.Context, *lab.Lab) (uint64, error) { return 0, nil }
	if _, err := Measure(t.Context(), cfg, uncounted); err == nil || !strings.Contains(err.Error(), "counted 0") {
		t.Errorf("got %v", err)
	}
	closed := Case{Name: "closed", Filters: true}
	if _, err := Measure(t.Context(), cfg, closed); err == nil || !strings.Contains(err.Error(), "does not forward") {
		t.Errorf("got %v", err)
	}
}

// TestFrames looks at the frames themselves: what the program writes into a
// buffer of garbage must be good IPv4, another flow each time, and the same
// again after the last.
func TestFrames(t *testing.T) {
	needsRoot(t)
	counter, err := newCounter()
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	const flows = MaxFlows
	program, err := load(generatorProgram(1, flows, counter))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	seen := map[string]bool{}
	for i := range 3 * flows / 2 {
		if i%977 != 0 && i != flows {
			continue
		}
		if err := counter.Put(uint32(0), uint64(i)); err != nil {
			t.Fatal(err)
		}
		out := make([]byte, frameSize)
		in := make([]byte, frameSize)
		for j := range in {
			in[j] = 0xa5
		}
		if _, err := program.Run(&ebpf.RunOptions{Data: in, DataOut: out}); err != nil {
			t.Fatal(err)
		}
		header := out[ipHeader:udpHeader]
		total := uint32(0)
		for j := 0; j < len(header); j += 2 {
			total += uint32(binary.BigEndian.Uint16(header[j:]))
		}
		for total > 0xffff {
			total = total>>16 + total&0xffff
		}
		if total != 0xffff {
			t.Fatalf("frame %d: wrong checksum in % x", i, header)
		}
		datagram := uint32(17 + frameSize - udpHeader)
		for j := ipSrc; j < frameSize; j += 2 {
			datagram += uint32(binary.BigEndian.Uint16(out[j:]))
		}
		for datagram > 0xffff {
			datagram = datagram>>16 + datagram&0xffff
		}
		if datagram != 0xffff || out[udpSum] == 0 && out[udpSum+1] == 0 {
			t.Fatalf("frame %d: wrong UDP checksum in % x", i, out)
		}
		if got, want := source(i%flows>>portBits).String(), ipString(out[ipSrc:]); got != want {
			t.Fatalf("frame %d comes from %s, want %s", i, want, got)
		}
		if !bytes.Equal(out[headersEnd:], make([]byte, frameSize-headersEnd)) {
			t.Fatalf("frame %d: % x", i, out)
		}
		key := string(out[ipSrc:ipSrc+4]) + string(out[udpHeader:udpHeader+2])
		if i < flows && seen[key] {
			t.Fatalf("frame %d repeats a flow", i)
		}
		if i == flows && !seen[key] {
			t.Fatal("flows do not come round")
		}
		seen[key] = true
	}
}

func ipString(b []byte) string { return netip.AddrFrom4([4]byte(b[:4])).String() }
