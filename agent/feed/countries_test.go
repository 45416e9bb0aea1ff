package feed

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// atlas writes a database of countries.
func (b *bench) atlas(name string, networks map[string]string) {
	b.t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "test", RecordSize: 24})
	if err != nil {
		b.t.Fatal(err)
	}
	for prefix, code := range networks {
		_, network, err := net.ParseCIDR(prefix)
		if err == nil {
			err = tree.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(code)}})
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		b.t.Fatal(err)
	}
	b.write(name, out.String())
}

func TestCountries(t *testing.T) {
	b := newBench(t)
	b.feed.cfg.CountriesFile = filepath.Join(b.dir, "atlas")
	b.feed.cfg.Sources = []Source{{Name: "far", Countries: []string{"DE", "FR"}}, {Name: "none", Countries: []string{"XX"}}}
	b.feed = New(b.feed.cfg, b.feed.deps)
	b.atlas("atlas", map[string]string{"8.0.0.0/16": "DE", "9.0.0.0/24": "FR", "9.0.1.0/24": "IT", "2a00:1::/32": "DE"})
	b.feed.Look()
	for address, list := range map[string]string{"8.0.3.4": "far", "9.0.0.1": "far", "9.0.1.1": "", "2a00:1::1": "far", "2a00:2::1": ""} {
		b.has(address, list)
	}
	b.degraded("drop_list:none: the database of countries knows none that is called XX")
	b.atlas("atlas", map[string]string{"9.0.1.0/24": "DE", "9.0.2.0/24": "FR", "7.0.0.0/24": "XX"})
	b.feed.Look()
	for address, list := range map[string]string{"8.0.3.4": "", "9.0.1.1": "far", "7.0.0.1": "none"} {
		b.has(address, list)
	}
	b.degraded("")
	if err := os.Remove(b.feed.cfg.CountriesFile); err != nil {
		t.Fatal(err)
	}
	b.feed.Look()
	b.has("9.0.1.1", "far")
	b.degraded("no such file")
}
