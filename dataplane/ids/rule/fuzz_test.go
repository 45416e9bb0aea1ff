package rule

import (
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, tt := range accepted {
		f.Add("alert " + tt.protocol + " any any -> any any (" + tt.options + " sid:1;)")
	}
	f.Add("drop tcp [$HOME_NET,!10.0.0.1/8,::1-::2] ![80:,$HTTP_PORTS] <> any any ( \\\n msg:\"a\\;\"; metadata:a b,c; sid:1; rev:2;)")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewParser(DefaultConfig()).Parse(text)
		if err != nil {
			e := err.(*Error)
			lines := strings.Split(text, "\n")
			if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 || e.Reason == "" {
				t.Errorf("%v is no place in %q", err, text)
			}
			return
		}
		mustRoundTrip(t, r)
		if c, pattern := r.FastContent(); c != nil && len(pattern) == 0 {
			t.Error("an empty fast pattern")
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("# comment\nalert tcp any any -> any any (sid:1;)\n#alert tcp any any -> any any (sid:1; rev:2;)\nalert tcp \\\n any any -> any any (sid:1; rev:3;)\nx\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := Load([]File{{"f", text}}, DefaultConfig())
		lines := strings.Count(text, "\n") + 1
		for _, e := range s.Refused {
			if e.File != "f" || e.Line < 1 || e.Line > lines || e.Column < 1 {
				t.Errorf("%v is no place in %q", e, text)
			}
		}
		seen := map[[2]uint32]bool{}
		for _, r := range s.Rules {
			if key := [2]uint32{r.GID, r.SID}; seen[key] {
				t.Errorf("two rules %v of %q", key, text)
			} else {
				seen[key] = true
			}
		}
	})
}

func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"any", "![10.0.0.0/8,!$HOME_NET,[::1-::2,2001:db8::/32]]", "1.2.3.4/255.255.0.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddresses(s)
		if err != nil {
			return
		}
		again, err := ParseAddresses(a.String())
		if err != nil || again.String() != a.String() {
			t.Errorf("%q became %s and %v, %v", s, a, again, err)
		}
		if set, err := NewResolver(DefaultVariables()).Addresses(a); err == nil && len(set.V4)+len(set.V6) == 0 {
			t.Errorf("%q is empty", s)
		}
	})
}

func FuzzPorts(f *testing.F) {
	for _, s := range []string{"any", "![80:90,!85,[1:,:3]]", "$HTTP_PORTS"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePorts(s)
		if err != nil {
			return
		}
		again, err := ParsePorts(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%q became %s and %v, %v", s, p, again, err)
		}
		if set, err := NewResolver(DefaultVariables()).Ports(p); err == nil && len(set.Ranges) == 0 {
			t.Errorf("%q is empty", s)
		}
	})
}

func FuzzConfigurations(f *testing.F) {
	f.Add("config classification: a,A b,1\nconfig reference: url http://\nthreshold gen_id 1, sig_id 2, type limit, track by_src, count 1, seconds 60\n" +
		"suppress gen_id 1, sig_id 2, track by_src, ip [10.0.0.0/8,!10.0.0.1]\nrate_filter gen_id 1, sig_id 2, track by_rule, count 1, seconds 2, new_action drop, timeout 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := File{"f", text}
		_, a := ParseClassification(file)
		_, b := ParseReferences(file)
		_, c := ParseThresholds(file, DefaultVariables())
		lines := strings.Count(text, "\n") + 1
		for _, e := range append(append(a, b...), c...) {
			if e.File != "f" || e.Line < 1 || e.Line > lines || e.Column < 1 {
				t.Errorf("%v is no place in %q", e, text)
			}
		}
	})
}
