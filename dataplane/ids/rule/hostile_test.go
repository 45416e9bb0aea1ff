package rule

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileText: rules come from elsewhere. None may cost more than its
// length is worth; the limits are loose enough for a busy machine.
func TestHostileText(t *testing.T) {
	var list, variables, keys strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&list, "10.%d.%d.0/25,!10.%d.%d.3,", i/256, i%256, i/256, i%256)
		fmt.Fprintf(&variables, "byte_extract:1,0,v%d; ", i)
		fmt.Fprintf(&keys, "http.uri; xor:\"%04x\"; content:\"a\"; ", i)
	}
	rule := func(options string) string { return "alert tcp any any -> any any (sid:1; " + options + ")" }
	for name, tt := range map[string]struct{ text, reason string }{
		"addresses":  {"alert tcp [" + strings.TrimSuffix(list.String(), ",") + "] any -> any any (sid:1;)", ""},
		"variables":  {rule(variables.String()), "more than 64 variables"},
		"buffers":    {rule(keys.String()), "more than 64 buffers"},
		"many":       {rule(strings.Repeat(`file.data; content:"a"; `, 20000)), "more than 64 buffers"},
		"contents":   {rule(strings.Repeat(`content:"a"; `, 20000)), ""},
		"keyword":    {rule(strings.Repeat("a", 1<<19) + ";"), "unknown keyword"},
		"classes":    {rule(`pcre:"/` + strings.Repeat("[[:", 200000) + `/";`), "not closed"},
		"groups":     {rule(`pcre:"/` + strings.Repeat("(", 200000) + `/";`), "deeper than"},
		"brackets":   {"alert tcp " + strings.Repeat("[", 200000) + "any any -> any any (sid:1;)", "not closed"},
		"nested":     {"alert tcp " + strings.Repeat("[", 100) + "any" + strings.Repeat("]", 100) + " any -> any any (sid:1;)", "deeper than"},
		"negations":  {"alert tcp " + strings.Repeat("!", 200000) + "1.2.3.4 any -> any any (sid:1;)", ""},
		"too long":   {rule(strings.Repeat(" ", 1<<20)), "longer than"},
		"continued":  {strings.Repeat("alert tcp \\\n", 80000), "no address"},
		"semicolons": {rule(strings.Repeat(`\;`, 200000) + ";"), "unknown keyword"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			set := Load([]File{{"hostile", tt.text}}, DefaultConfig())
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
			switch {
			case tt.reason == "" && len(set.Rules) == 1:
			case tt.reason != "" && len(set.Refused) == 1 && strings.Contains(set.Refused[0].Reason, tt.reason) && len(set.Refused[0].Reason) < 500:
			default:
				t.Errorf("%d rules, %v", len(set.Rules), set.Refused)
			}
		})
	}
}
