package seal

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func load(t *testing.T, path string) *Key {
	t.Helper()
	k, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedOpensOnlyWithItsKeyAndLabel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, other := load(t, path), load(t, filepath.Join(t.TempDir(), "key"))
	again := load(t, path)
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOf(rapid.Byte()).Draw(t, "secret")
		sealed := k.Seal(secret, "a")
		got, err := again.Open(sealed, "a")
		if err != nil || string(got) != string(secret) {
			t.Fatalf("got %q, %v", got, err)
		}
		if _, err := k.Open(sealed, "b"); err == nil {
			t.Fatal("opened under another label")
		}
		if _, err := other.Open(sealed, "a"); err == nil {
			t.Fatal("opened with another key")
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "i")
		sealed[i] ^= 1
		if _, err := k.Open(sealed, "a"); err == nil {
			t.Fatal("opened after a change")
		}
		if _, err := k.Open(sealed[:i], "a"); err == nil {
			t.Fatal("opened a part")
		}
	})
}

func TestConcurrentFirstStartsAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	var wg sync.WaitGroup
	sealed := make([][]byte, 8)
	for i := range sealed {
		wg.Go(func() {
			if k, err := Load(path); err != nil {
				t.Error(err)
			} else {
				sealed[i] = k.Seal([]byte("x"), "l")
			}
		})
	}
	wg.Wait()
	k := load(t, path)
	for _, s := range sealed {
		if _, err := k.Open(s, "l"); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Errorf("left behind %v", left)
	}
}

func TestBadKeyFileIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		mode             os.FileMode
	}{
		{"readable by others", strings.Repeat("ab", 32), "chmod 600", 0o644},
		{"too short", "abcd", "32 hexadecimal bytes", 0o600},
		{"empty", "", "32 hexadecimal bytes", 0o600},
		{"not hexadecimal", strings.Repeat("zz", 32), "32 hexadecimal bytes", 0o600},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(tc.text), tc.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
