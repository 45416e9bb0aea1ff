package analytics

import (
	"strconv"
	"time"

	"ngfw.sh/internal/fault"
)

const (
	maxBuckets     = 2000
	defaultBuckets = 300 // at most so many where the question names no step
)

// niceSteps are the steps that a question gets that names none.
var niceSteps = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// readStep reads a number of seconds or of s, m, h or d; 0 is none.
func readStep(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	digits, of := s, time.Second
	switch s[len(s)-1] {
	case 's':
		digits = s[:len(s)-1]
	case 'm':
		digits, of = s[:len(s)-1], time.Minute
	case 'h':
		digits, of = s[:len(s)-1], time.Hour
	case 'd':
		digits, of = s[:len(s)-1], 24*time.Hour
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || time.Duration(n) > maxSpan/of {
		return 0, fault.Invalid("step", "%.100q is not a step: write seconds, or a number with s, m, h or d", s)
	}
	return time.Duration(n) * of, nil
}

// stepped is a request for figures over time.
type stepped interface {
	GetFrom() string
	GetTo() string
	GetPeriod() string
	GetStep() string
}

// readSteps reads the period and the step, and refuses what is too many steps
// where that is known already.
func readSteps(r stepped) (p period, step time.Duration, err error) {
	if p, err = readPeriod(r.GetFrom(), r.GetTo(), r.GetPeriod()); err != nil {
		return p, 0, err
	}
	if step, err = readStep(r.GetStep()); err != nil {
		return p, 0, err
	}
	if p.from != 0 && p.to != 0 {
		_, err = stepOf(step, p.from, p.to)
	}
	return p, step, err
}

// stepOf chooses the step for a span where the question names none, and refuses
// one that gives too many buckets.
func stepOf(step time.Duration, from, to int64) (time.Duration, error) {
	if step == 0 {
		step = niceSteps[len(niceSteps)-1]
		for _, s := range niceSteps {
			if buckets(s, from, to) <= defaultBuckets+1 {
				step = s
				break
			}
		}
	}
	if n := buckets(step, from, to); n > maxBuckets {
		return 0, fault.Invalid("step", "gives %d steps, at most %d: take a longer one or a shorter span", n, maxBuckets)
	}
	return step, nil
}

// buckets counts the steps, aligned to the epoch, that a span touches.
func buckets(step time.Duration, from, to int64) int64 {
	u := unit{length: step}
	return (u.ceil(to) - u.floor(from)) / step.Microseconds()
}
