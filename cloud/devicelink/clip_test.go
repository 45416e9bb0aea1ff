package devicelink

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClipLeavesText(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("a", 300), strings.Repeat("a", 255) + "é", strings.Repeat("漢", 200)} {
		if got := clip(s, 256); len(got) > 256 || !utf8.ValidString(got) || !strings.HasPrefix(s, got) || len(got) < min(len(s), 253) {
			t.Errorf("%d bytes became %q", len(s), got)
		}
	}
}
