package chdb

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// statement is one request of the driver, taken apart.
type statement struct {
	text     string
	database string
	format   string
	revision uint64 // of the driver, for the hello alone
	insert   bool   // text is INSERT … FORMAT f, the rows are the body
	settings map[string]string
	params   []param
}

type param struct{ name, value string }

// hello is the driver's first statement on a connection.
const hello = "SELECT displayName(), version(), revision(), timezone()"

var (
	insertFormat = regexp.MustCompile(`(?is)^\s*(INSERT\s+INTO\s.+?)\s+FORMAT\s+(\w+)\s*$`)
	streamable   = regexp.MustCompile(`(?is)^[\s(]*(SELECT|WITH)\b`)
)

// parseStatement reads the parameters of a request as the server's HTTP
// interface does: param_x is a parameter, what has no meaning of its own a
// setting. body is the request's body where it holds the statement.
func parseStatement(q url.Values, body string) (statement, error) {
	s := statement{text: body, format: "Native", settings: map[string]string{}}
	for key, values := range q {
		value := values[len(values)-1]
		name, isParam := strings.CutPrefix(key, "param_")
		switch {
		case isParam:
			s.params = append(s.params, param{name, value})
		case key == "query":
			s.text = value
		case key == "database":
			s.database = value
		case key == "default_format":
			s.format = value
		case key == "client_protocol_version":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return s, fmt.Errorf("client_protocol_version %q is not a number", value)
			}
			s.revision = n
		case key == "wait_end_of_query", key == "query_id", key == "quota_key":
			// Without meaning for one client in one process.
		case key == "compress", key == "decompress", key == "session_id", strings.HasSuffix(key, "_structure"):
			return s, fmt.Errorf("the embedded engine does not support %s", key)
		default:
			s.settings[key] = value
		}
	}
	slices.SortFunc(s.params, func(a, b param) int { return strings.Compare(a.name, b.name) })
	if q.Has("query") {
		m := insertFormat.FindStringSubmatch(s.text)
		if m == nil {
			return s, fmt.Errorf("a statement with data must be INSERT … FORMAT …")
		}
		s.insert, s.text, s.format = true, m[1], m[2]
	}
	if strings.TrimSpace(s.text) == "" {
		return s, fmt.Errorf("empty statement")
	}
	return s, nil
}
