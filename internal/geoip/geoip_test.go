package geoip_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"pgregory.net/rapid"

	"ngfw.sh/internal/geoip"
)

// written makes a database; record makes what it holds of a country.
func written(t testing.TB, version int, aliases bool, networks map[string]string, record func(code string) mmdbtype.DataType) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "test", RecordSize: 24, IPVersion: version, IncludeReservedNetworks: true, DisableIPv4Aliasing: !aliases,
	})
	if err != nil {
		t.Fatal(err)
	}
	for text, code := range networks {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(network, record(code)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func maxmind(code string) mmdbtype.DataType {
	return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
}

func TestCountry(t *testing.T) {
	networks := map[string]string{"10.0.0.0/8": "DE", "192.0.2.128/25": "FR", "2001:db8::/32": "US"}
	for name, record := range map[string]func(string) mmdbtype.DataType{
		"maxmind": maxmind,
		"flat":    func(code string) mmdbtype.DataType { return mmdbtype.Map{"country_code": mmdbtype.String(code)} },
		"ipinfo":  func(code string) mmdbtype.DataType { return mmdbtype.Map{"country": mmdbtype.String(code)} },
	} {
		for _, aliases := range []bool{false, true} {
			d, err := geoip.Parse(written(t, 6, aliases, networks, record))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for addr, want := range map[string]string{
				"10.1.2.3": "DE", "192.0.2.200": "FR", "192.0.2.1": "", "2001:db8:1::": "US", "2001:db9::": "",
				"2002:0a01:0203::1": "", "::10.1.2.3": "", "::ffff:10.1.2.3": "",
			} {
				if got := d.Country(netip.MustParseAddr(addr)); got != want {
					t.Errorf("%s, aliases %v: %s is in %q, want %q", name, aliases, addr, got, want)
				}
			}
			got := map[string]string{}
			for prefix, code := range d.Prefixes(map[string]bool{"DE": true, "US": true}) {
				got[prefix.String()] = code
			}
			if len(got) != 2 || got["10.0.0.0/8"] != "DE" || got["2001:db8::/32"] != "US" {
				t.Errorf("%s, aliases %v: %v", name, aliases, got)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.mmdb")
	for want, data := range map[string][]byte{
		"no database in MMDB format": []byte("nothing of the kind"),
		"tells no countries":         written(t, 6, false, map[string]string{"10.0.0.0/8": "x"}, func(string) mmdbtype.DataType { return mmdbtype.Map{"asn": mmdbtype.Uint32(1)} }),
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := geoip.Open(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := geoip.Open(file + "x"); err == nil {
		t.Error("a missing file opens")
	}
}

// TestPrefixesAreWhatCountrySays: an address is in a prefix of its country, and in
// no other.
func TestPrefixesAreWhatCountrySays(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		networks := map[string]string{}
		for range rapid.IntRange(1, 12).Draw(r, "networks") {
			code := rapid.SampledFrom([]string{"AA", "BB", "CC"}).Draw(r, "code")
			b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "address")
			prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), rapid.IntRange(8, 32).Draw(r, "bits")).Masked()
			if rapid.Bool().Draw(r, "v6") {
				b[0] = 0x20 | b[0]&0x1f
				prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(b)), rapid.IntRange(17, 128).Draw(r, "bits 6")).Masked()
				if netip.MustParsePrefix("2001::/32").Overlaps(prefix) || netip.MustParsePrefix("2002::/16").Overlaps(prefix) {
					continue
				}
			}
			networks[prefix.String()] = code
		}
		if len(networks) == 0 {
			return
		}
		d, err := geoip.Parse(written(t, 6, rapid.Bool().Draw(r, "aliases"), networks, maxmind))
		if err != nil {
			r.Fatal(err)
		}
		in := map[netip.Prefix]string{}
		for prefix, code := range d.Prefixes(map[string]bool{"AA": true, "BB": true, "CC": true}) {
			in[prefix] = code
		}
		for text := range networks {
			prefix := netip.MustParsePrefix(text)
			for _, addr := range []netip.Addr{prefix.Addr(), prefix.Addr().Next(), prefix.Addr().Prev()} {
				if !addr.IsValid() {
					continue
				}
				has := ""
				for p, code := range in {
					if p.Contains(addr) {
						has += code
					}
				}
				if want := d.Country(addr); has != want {
					r.Fatalf("%s is in %q, Country says %q", addr, has, want)
				}
			}
		}
	})
}

// FuzzParse: a file from anywhere neither panics nor hangs.
func FuzzParse(f *testing.F) {
	f.Add(written(f, 6, true, map[string]string{"10.0.0.0/8": "DE"}, maxmind))
	f.Add(written(f, 4, false, map[string]string{"10.0.0.0/8": "DE"}, maxmind))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := geoip.Parse(data)
		if err != nil {
			return
		}
		d.Country(netip.MustParseAddr("10.0.0.1"))
		d.Country(netip.MustParseAddr("2001:db8::1"))
		n := 0
		for range d.Prefixes(map[string]bool{"DE": true}) {
			if n++; n > 1000 {
				break
			}
		}
	})
}

func TestNetworks(t *testing.T) {
	networks := map[string]string{"10.0.0.0/8": "64500", "2001:db8::/32": "64501"}
	for name, record := range map[string]func(string) mmdbtype.DataType{
		"maxmind": func(n string) mmdbtype.DataType {
			v := map[string]mmdbtype.Uint32{"64500": 64500, "64501": 64501}[n]
			return mmdbtype.Map{"autonomous_system_number": v, "autonomous_system_organization": mmdbtype.String("Net " + n)}
		},
		"ipinfo": func(n string) mmdbtype.DataType {
			return mmdbtype.Map{"asn": mmdbtype.String("AS" + n), "as_name": mmdbtype.String("Net " + n)}
		},
		"older ipinfo": func(n string) mmdbtype.DataType {
			return mmdbtype.Map{"asn": mmdbtype.String("AS" + n), "name": mmdbtype.String("Net " + n)}
		},
	} {
		d, err := geoip.ParseNetworks(written(t, 6, false, networks, record))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for addr, want := range map[string]geoip.AS{
			"10.1.2.3": {Number: 64500, Name: "Net 64500"}, "::ffff:10.1.2.3": {Number: 64500, Name: "Net 64500"},
			"2001:db8::1": {Number: 64501, Name: "Net 64501"}, "192.0.2.1": {}, "2001:db9::1": {},
		} {
			if got := d.AS(netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s: %s: %+v, want %+v", name, addr, got, want)
			}
		}
		if got := d.AS(netip.Addr{}); got != (geoip.AS{}) {
			t.Errorf("no address: %+v", got)
		}
	}
	if _, err := geoip.ParseNetworks(written(t, 6, false, networks, maxmind)); err == nil || !strings.Contains(err.Error(), "one of ASNs") {
		t.Errorf("a database of countries: %v", err)
	}
	if _, err := geoip.ParseNetworks([]byte("none")); err == nil {
		t.Error("no database was taken")
	}
}
