package cloud

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	if newPlaces(Config{}, slog.Default()) != nil {
		t.Error("places of no file")
	}
	dir := t.TempDir()
	vendors := filepath.Join(dir, "oui.csv")
	if err := os.WriteFile(vendors, []byte("Registry,Assignment,Organization Name\nMA-L,001B63,Cards\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	p := newPlaces(Config{
		GeoIP: atlas(t, map[string]string{"203.0.113.0/24": "NL"}), GeoIPASN: filepath.Join(dir, "none.mmdb"), MACVendors: vendors,
	}, slog.New(slog.NewTextHandler(&said, nil)))
	a := netip.MustParseAddr("203.0.113.7")
	number, _ := p.AS(a)
	if p.Country(a) != "NL" || p.Vendor("00:1b:63:00:00:01") != "Cards" || p.Vendor("none") != "" || number != 0 {
		t.Errorf("%q %q %d", p.Country(a), p.Vendor("00:1b:63:00:00:01"), number)
	}
	if !strings.Contains(said.String(), "setting=geoip_asn") || strings.Contains(said.String(), "setting=mac_vendors") {
		t.Error(said.String())
	}
}
