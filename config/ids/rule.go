package ids

import (
	"errors"
	"strings"

	"ngfw.sh/dataplane/ids/rule"
)

// Rule is a rule of the operator's own.
type Rule struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Rule     string `json:"rule"` // Suricata's text
	Enabled  bool   `json:"enabled"`
	Category string `json:"category"`
	SID      int64  `json:"sid"` // of the text
}

// Suppression keeps alerts from being told, all of a rule or those of an address.
type Suppression struct {
	ID        int64  `json:"id"`
	GID       int64  `json:"gid"`
	SID       int64  `json:"sid"`
	Track     string `json:"track,omitempty"` // by_src, by_dst, by_either; "": all
	IP        string `json:"ip,omitempty"`    // an address or a CIDR; with track alone
	Reason    string `json:"reason,omitempty"`
	CreatedAt int64  `json:"created_at"`
}

// ParseRule parses a custom rule under the section's variables. The error names
// line and column.
func ParseRule(d Document, text string) (*rule.Rule, error) {
	cfg := rule.DefaultConfig()
	cfg.Variables = Variables(d)
	return parseRule(rule.NewParser(cfg), text)
}

func parseRule(parser *rule.Parser, text string) (*rule.Rule, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("is required")
	}
	if strings.Contains(strings.ReplaceAll(text, "\\\n", ""), "\n") {
		return nil, errors.New("is more than one rule: send one at a time")
	}
	r, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	if r.Unmet != "" {
		return nil, errors.New("asks for what is not here: " + r.Unmet)
	}
	return r, nil
}
