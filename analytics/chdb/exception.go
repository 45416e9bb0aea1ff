package chdb

import (
	"regexp"
	"strconv"
)

// Exception is an error of the engine with ClickHouse's code.
type Exception struct {
	Code int // 0 where the engine gave none
	Text string
}

func (e *Exception) Error() string { return e.Text }

var exceptionCode = regexp.MustCompile(`Code:\s*(\d+)\.`)

func parseException(text string) *Exception {
	e := &Exception{Text: text}
	if m := exceptionCode.FindStringSubmatch(text); m != nil {
		e.Code, _ = strconv.Atoi(m[1]) // digits: 0 only beyond int
	}
	return e
}
