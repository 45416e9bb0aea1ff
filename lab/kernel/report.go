package kernel

import (
	"regexp"
	"strings"
)

// Verdict on one test, as go test -v prints it.
type Verdict struct {
	Test   string
	Word   string // PASS, FAIL, SKIP
	Output string
}

var verdictLine = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) \(`)

// Verdicts takes a test binary's verbose output apart: tests in the order of
// their ends. What a test says is between its start and its verdict, or behind it.
func (r Result) Verdicts() []Verdict {
	var all []Verdict
	var said strings.Builder
	ended := false // the line before was of a verdict
	for line := range strings.Lines(r.Output) {
		switch m := verdictLine.FindStringSubmatch(line); {
		case m != nil:
			said.WriteString(line)
			all = append(all, Verdict{Test: m[2], Word: m[1], Output: said.String()})
			said.Reset()
			ended = true
		case strings.HasPrefix(line, "=== RUN") && !strings.Contains(line, "/"):
			said.Reset()
			ended = false
		case ended && strings.HasPrefix(line, "    "):
			all[len(all)-1].Output += line
		default:
			said.WriteString(line)
			ended = false
		}
	}
	return all
}
