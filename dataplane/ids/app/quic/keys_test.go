package quic

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// The keys of RFC 9001 appendix A.1 and RFC 9369 appendix A.1.
func TestKeys(t *testing.T) {
	id, _ := hex.DecodeString("8394c8f03e515708")
	for number, want := range map[uint32][3]string{
		v1: {"1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"},
		v2: {"8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"},
	} {
		v, _ := versionOf(number)
		initial, err := hkdf.Extract(sha256.New, id, []byte(v.salt))
		if err != nil {
			t.Fatal(err)
		}
		secret := expand(initial, "client in", 32)
		for i, label := range []string{"key", "iv", "hp"} {
			if got := hex.EncodeToString(expand(secret, v.prefix+label, len(want[i])/2)); got != want[i] {
				t.Errorf("version %x: %s %s, want %s", number, label, got, want[i])
			}
		}
	}
}
