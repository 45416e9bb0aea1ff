package macvendor_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ngfw.sh/internal/macvendor"
)

const (
	large  = "Registry,Assignment,Organization Name,Organization Address\r\nMA-L,001B63,\"Large, Inc.\",\"1 Loop\r\nCity\"\r\nMA-L,70B3D5,IEEE Registration Authority,x\r\n"
	medium = "Registry,Assignment,Organization Name,Organization Address\nMA-M,001B63A,Medium,x\n"
	small  = "\ufeffRegistry,Assignment,Organization Name,Organization Address\nMA-S,70B3D5123,Small,x\n"
)

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVendor(t *testing.T) {
	r, err := macvendor.Open(write(t, map[string]string{"oui.csv": large, "mam.csv": medium, "oui36.csv": small}))
	if err != nil {
		t.Fatal(err)
	}
	for mac, want := range map[string]string{
		"00:1b:63:00:00:01": "Large, Inc.", "00:1b:63:a0:00:01": "Medium", "00:1b:63:b0:00:01": "Large, Inc.",
		"70:b3:d5:12:3f:ff": "Small", "70:b3:d5:12:4f:ff": "IEEE Registration Authority",
		"02:1b:63:00:00:01": "", "00:00:00:00:00:01": "",
	} {
		a, err := net.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Vendor(a); got != want {
			t.Errorf("%s: %q, want %q", mac, got, want)
		}
	}
	if got := r.Vendor(nil); got != "" {
		t.Errorf("no address: %q", got)
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"another file": {"a,b,c\n", "does not begin"},
		"empty":        {"", "no assignment"},
		"nothing":      {"Registry,Assignment,Organization Name\nMA-L,zzzzzz,x\nMA-L\n", "no assignment"},
	} {
		if _, err := macvendor.Open(filepath.Join(write(t, map[string]string{"x.csv": tt.text}), "x.csv")); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := macvendor.Open(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(large)
	f.Add(small)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(dir, "x.csv")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := macvendor.Open(name); err == nil {
			r.Vendor(net.HardwareAddr{0, 0x1b, 0x63, 1, 2, 3})
		}
	})
}
