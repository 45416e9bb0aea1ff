package droplist

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := Parse(strings.NewReader("\ufeff# feed\n; more\n\n192.0.2.1\n198.51.100.7/24 ; SBL1\n2001:db8::/32,x\r\n2001:db8::1\t# one\n"))
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, p := range got {
		text = append(text, p.String())
	}
	if diff := cmp.Diff([]string{"192.0.2.1/32", "198.51.100.0/24", "2001:db8::/32", "2001:db8::1/128"}, text); diff != "" {
		t.Error(diff)
	}
	for wrong, want := range map[string]string{
		"192.0.2.1\nexample.com\n":              `line 2: "example.com" is no address or prefix`,
		"192.0.2.0/33":                          `line 1: "192.0.2.0/33" is no prefix`,
		"fe80::1%eth0":                          `line 1: "fe80::1%eth0" is no address or prefix`,
		"1.2.3.4\n" + strings.Repeat("x", 9999): "line 2: bufio.Scanner: token too long",
	} {
		if _, err := Parse(strings.NewReader(wrong)); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", wrong, err, want)
		}
	}
}

// TestForms are those that feeds have, in the words of each.
func TestForms(t *testing.T) {
	for _, name := range []string{"drop.txt", "drop_v4.json", "feodo.csv", "sslbl.csv", "plain.csv", "level1.netset"} {
		f, err := os.Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Read(f)
		f.Close()
		var got []string
		for _, p := range c.Prefixes {
			got = append(got, p.String())
		}
		if diff := cmp.Diff([]string{"192.0.2.0/24", "198.51.100.7/32"}, got); diff != "" || err != nil || c.Bad != 0 {
			t.Errorf("%s: %v, %d bad lines (%v): %s", name, err, c.Bad, c.FirstBad, diff)
		}
	}
	c, err := Read(strings.NewReader("<html>\n<p>1.2.3.4\n{\n{\"x\":1}\n192.0.2.1\n"))
	if err != nil || c.Bad != 4 || len(c.Prefixes) != 1 || !strings.Contains(c.FirstBad.Error(), `line 1: "<html>"`) {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestWithout: what is left has none of the holes, and all else.
func TestWithout(t *testing.T) {
	list := func(text ...string) (out []netip.Prefix) {
		for _, s := range text {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	got, touched := Without(list("172.0.0.0/11", "10.1.0.0/16", "203.0.113.0/24", "fd00::/8", "0.0.0.0/0"), append(list("0.0.0.0/1"), Reserved...))
	var text []string
	for _, p := range got {
		text = append(text, p.String())
	}
	want := []string{"172.0.0.0/12", "203.0.113.0/24",
		"128.0.0.0/3", "160.0.0.0/5", "168.0.0.0/8", "169.0.0.0/9", "169.128.0.0/10", "169.192.0.0/11", "169.224.0.0/12", "169.240.0.0/13", "169.248.0.0/14",
		"169.252.0.0/15", "169.255.0.0/16", "170.0.0.0/7", "172.0.0.0/12", "172.32.0.0/11", "172.64.0.0/10", "172.128.0.0/9", "173.0.0.0/8", "174.0.0.0/7",
		"176.0.0.0/4", "192.0.0.0/9", "192.128.0.0/11", "192.160.0.0/13", "192.169.0.0/16", "192.170.0.0/15", "192.172.0.0/14", "192.176.0.0/12",
		"192.192.0.0/10", "193.0.0.0/8", "194.0.0.0/7", "196.0.0.0/6", "200.0.0.0/5", "208.0.0.0/4"}
	if diff := cmp.Diff(want, text); diff != "" || touched != 4 {
		t.Errorf("%d touched: %s", touched, diff)
	}
	if n, first := Touched(list("203.0.113.0/24", "192.0.2.0/24"), list("192.0.2.7/32")); n != 1 || first.String() != "192.0.2.0/24" {
		t.Errorf("%d, %v", n, first)
	}
	for wide, ok := range map[string]bool{"8.0.0.0/7": false, "9.0.0.0/8": true, "2000::/3": false, "2a00::/12": true} {
		if err := CheckWidth(list(wide)); (err == nil) != ok {
			t.Errorf("%s: %v", wide, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("192.0.2.1\n2001:db8::/32 ; x\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(list) > 1000 {
			return
		}
		table, err := Compile([]List{{Name: "x", Prefixes: list}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			if table.Lookup(p.Addr(), Source4) != 1 {
				t.Errorf("%v is not found", p)
			}
		}
	})
}
