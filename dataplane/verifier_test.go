package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// mostEffort of the verifier's million instructions: what comes near is what the
// next kernel refuses.
const mostEffort = 200_000

// TestVerifierEffort loads every object, and holds what that takes the verifier
// against testdata/verifier.txt: lines of SERIES PROGRAM INSTRUCTIONS, for the
// series of kernels that it has. Kernels of one series differ a little. `make
// test-kernels UPDATE=1` writes the file.
func TestVerifierEffort(t *testing.T) {
	needRoot(t)
	series := kernelSeries(t)
	golden := goldenEffort(t)[series]
	if os.Getenv("NGFW_KERNELS_UPDATE") != "" {
		golden = nil
	} else if golden == nil {
		t.Logf("NOT COMPARED: testdata/verifier.txt knows nothing of Linux %s", series)
	}
	seen := map[string]bool{}
	for name, load := range map[string]func() (*ebpf.CollectionSpec, error){
		"simulate": bpfobj.LoadSimulate, "tc": bpfobj.LoadTc, "xdp": bpfobj.LoadXdp, "collect": bpfobj.LoadCollect, "bench": bpfobj.LoadBench, "qos": bpfobj.LoadQos,
		"table": bpfobj.LoadTable,
	} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		c, err := ebpf.NewCollection(spec)
		if err != nil {
			var refusal *ebpf.VerifierError
			if errors.As(err, &refusal) {
				t.Logf("the verifier said at last:\n%s", strings.Join(refusal.Log[max(0, len(refusal.Log)-80):], "\n"))
			}
			t.Fatalf("%s: %v", name, err)
		}
		for program, p := range c.Programs {
			info, err := p.Info()
			if err != nil {
				t.Fatal(err)
			}
			n, ok := info.VerifiedInstructions()
			if !ok {
				t.Fatal("the kernel does not tell how much it verified")
			}
			seen[program] = true
			t.Logf("verifier: %s %s %d", series, program, n) // read by lab/kernel
			if n > mostEffort && name != "bench" {
				t.Errorf("%s takes the verifier %d instructions", program, n)
			}
			if golden == nil {
				continue
			}
			want, known := golden[program]
			if !known {
				t.Errorf("%s is not in testdata/verifier.txt: make test-kernels UPDATE=1", program)
			} else if d := int64(n) - int64(want); d > int64(want)/4 || -d > int64(want)/4 {
				t.Errorf("%s takes the verifier %d instructions, testdata/verifier.txt says %d: if that is meant, make test-kernels UPDATE=1", program, n, want)
			}
		}
		c.Close()
	}
	for program := range golden {
		if !seen[program] {
			t.Errorf("testdata/verifier.txt has %s, which is no program", program)
		}
	}
}

// kernelSeries of 6.12.107+deb12-amd64 is 6.12.
func kernelSeries(t *testing.T) string {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(unix.ByteSliceToString(name.Release[:]), ".", 3)
	if len(parts) < 2 {
		t.Fatalf("Linux %q", parts)
	}
	return parts[0] + "." + parts[1]
}

func goldenEffort(t *testing.T) map[string]map[string]uint32 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "verifier.txt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	all := map[string]map[string]uint32{}
	for line := range strings.Lines(string(text)) {
		var series, program string
		var n uint32
		if _, err := fmt.Sscanf(line, "%s %s %d", &series, &program, &n); err != nil {
			t.Fatalf("testdata/verifier.txt: %q: %v", line, err)
		}
		if all[series] == nil {
			all[series] = map[string]uint32{}
		}
		all[series][program] = n
	}
	return all
}
