package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// used is a metric that an expression asks for, and the labels it is asked by.
type used struct {
	name   string
	labels []string
}

var (
	promToken = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\$\{?\w+\}?|[a-zA-Z_:][\w:]*|[0-9][\w.]*|=~|!~|!=|==|<=|>=|[-+*/%^=<>(){}\[\],:@])`)
	promName  = regexp.MustCompile(`^[a-zA-Z_:][\w:]*$`)

	promWords     = []string{"and", "or", "unless", "bool", "offset"}
	promLabelists = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
)

// tokens takes a PromQL expression apart (Prometheus documentation, "Querying
// basics"), with Grafana's $variables.
func tokens(expression string) ([]string, error) {
	var out []string
	for rest := strings.TrimSpace(expression); rest != ""; rest = strings.TrimSpace(rest) {
		tok := promToken.FindString(rest)
		if tok == "" {
			return nil, fmt.Errorf("%q: no PromQL from %.20q on", expression, rest)
		}
		out, rest = append(out, tok), rest[len(tok):]
	}
	return out, nil
}

// asks lists the metrics of an expression, and the labels that its groupings
// name, which any of the metrics may have.
func asks(expression string) (metrics []used, grouped []string, err error) {
	toks, err := tokens(expression)
	if err != nil {
		return nil, nil, err
	}
	at := func(i int) string {
		if i < len(toks) {
			return toks[i]
		}
		return ""
	}
	for i := 0; i < len(toks); i++ {
		tok := toks[i]
		switch {
		case tok == "[": // a range, and a subquery's step
			for at(i) != "]" && i < len(toks) {
				i++
			}
		case slices.Contains(promLabelists, tok):
			if at(i+1) != "(" {
				continue
			}
			for i += 2; at(i) != ")" && i < len(toks); i++ {
				if at(i) != "," {
					grouped = append(grouped, at(i))
				}
			}
		case !promName.MatchString(tok) || slices.Contains(promWords, tok):
		case at(i+1) == "(" || slices.Contains(promLabelists, at(i+1)): // a function, an aggregation
		default:
			u := used{name: tok}
			if at(i+1) == "{" {
				for i += 2; at(i) != "}" && i < len(toks); i++ {
					if next := at(i + 1); next == "=" || next == "!=" || next == "=~" || next == "!~" {
						u.labels = append(u.labels, at(i))
						i += 2
					}
				}
			}
			metrics = append(metrics, u)
		}
	}
	return metrics, grouped, nil
}
