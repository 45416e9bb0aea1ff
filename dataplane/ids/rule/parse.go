package rule

import (
	"sort"
	"strings"
)

// Config is what parsing depends on beside the text.
type Config struct {
	// Variables must have a value where a rule names them.
	Variables Variables
	// Version and Features are what the requires keyword is judged by.
	Version  Version
	Features map[string]bool
}

// DefaultConfig has the variables of a stock suricata.yaml.
func DefaultConfig() Config {
	return Config{
		Variables: DefaultVariables(),
		Version:   Version{8, 0, 5},
		Features:  map[string]bool{"ja3": true, "ja4": true, "true_unix_socket": false},
	}
}

// Parser parses rules. It is not for several goroutines at a time; the rules it
// returns are.
type Parser struct{ p parser }

// NewParser parses by a configuration.
func NewParser(cfg Config) *Parser {
	return &Parser{parser{
		cfg: cfg, resolver: NewResolver(cfg.Variables),
		addresses: map[string]*Addresses{}, ports: map[string]*Ports{},
	}}
}

// Parse parses one rule, which may be continued over lines by a backslash at
// the end of each but the last. The error is an *Error.
func (p *Parser) Parse(text string) (*Rule, error) {
	joined, lines := join(text)
	r, err := p.p.parse(joined, 1)
	if err != nil {
		return nil, locatedIn("", 1, lines, p.p.sid(), err)
	}
	return r, nil
}

// join replaces a backslash and the end of its line by nothing. lines are the
// offsets in the result at which the lines after the first begin.
func join(text string) (string, []int) {
	if strings.IndexByte(text, '\n') < 0 {
		return text, nil
	}
	var b strings.Builder
	var lines []int
	for rest, more := text, true; more; {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		cut := strings.TrimRight(line, " \t\r")
		if more && strings.HasSuffix(cut, `\`) {
			line = cut[:len(cut)-1]
		} else if more {
			line += "\n"
		}
		b.WriteString(line)
		if more {
			lines = append(lines, b.Len())
		}
	}
	return b.String(), lines
}

// located makes an error in a single line an *Error.
func located(err error) error { return locatedIn("", 1, nil, 0, err) }

// locatedIn makes an error an *Error. first is the number of the first line.
func locatedIn(file string, first int, lines []int, sid uint32, err error) error {
	f, ok := err.(*fault)
	if !ok {
		return err
	}
	n := sort.SearchInts(lines, f.at+1)
	column := f.at + 1
	if n > 0 {
		column -= lines[n-1]
	}
	return &Error{File: file, Line: first + n, Column: column, SID: sid, Reason: shorten(f.reason)}
}

// maxLength bounds a rule's text.
const maxLength = 1 << 20

// option is one keyword of a rule and its value.
type option struct {
	name, value string
	at, valueAt int // offsets in the rule's text
	hasValue    bool
	keyword     *keyword
}

// parser is the state of parsing one rule. Its maps and slices are kept from
// one rule to the next.
type parser struct {
	cfg       Config
	resolver  *Resolver
	addresses map[string]*Addresses
	ports     map[string]*Ports

	rule    *Rule
	options []option
	slots   []slot
	placed  []placed

	active   bool // a sticky buffer is set
	bound    int  // its slot; -1: nothing was matched in it yet
	pending  slot // what it is
	stickyAt int  // where

	last         *Content // that modifiers are about
	lastAt       int      // in placed
	lastWasMatch bool     // the keyword before was of a match
	fast         *Content
	fastAt       int
	flow         FlowFlags
	revised      bool
	decodes      bool    // there is a base64_decode
	option       *option // being parsed
	tooMany      int     // where the rule has more buffers than it may
}

func (p *parser) sid() uint32 {
	if p.rule == nil {
		return 0
	}
	if p.rule.SID != 0 {
		return p.rule.SID
	}
	for i := range p.options {
		if o := &p.options[i]; o.name == "sid" {
			if v, ok := number(o.value); ok && v <= 1<<32-1 {
				return uint32(v)
			}
		}
	}
	return 0
}

func (p *parser) parse(text string, line int) (*Rule, error) {
	p.options, p.slots, p.placed = p.options[:0], p.slots[:0], p.placed[:0]
	p.active, p.bound, p.pending, p.last, p.lastWasMatch = false, -1, slot{}, nil, false
	p.fast, p.flow, p.revised, p.decodes, p.tooMany = nil, 0, false, false, 0
	p.rule = &Rule{Line: line, Text: text}
	if len(text) > maxLength {
		return nil, faultf(maxLength, "the rule is longer than %d bytes", maxLength)
	}
	open, err := p.header(text)
	if err != nil {
		return nil, err
	}
	if err := p.split(text, open); err != nil {
		return nil, err
	}
	if met, err := p.requirements(); err != nil || !met {
		return p.rule, err
	}
	for i := range p.options {
		o := &p.options[i]
		before := len(p.placed)
		conditions := len(p.rule.Conditions)
		if err := p.one(o); err != nil {
			return nil, err
		}
		if p.tooMany > 0 {
			return nil, faultf(p.tooMany, "the rule has more than %d buffers", maxBuffers)
		}
		if len(p.placed) != before {
			p.lastWasMatch = true
		} else if len(p.rule.Conditions) != conditions {
			p.lastWasMatch = false
		}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.rule, nil
}

func (p *parser) one(o *option) error {
	k := keywords[o.name]
	if k == nil {
		if why, ok := refused[o.name]; ok {
			return faultf(o.at, "%s: %s", o.name, why)
		}
		return faultf(o.at, "unknown keyword %s%s", o.name, nearest(o.name, keysOf(keywords)))
	}
	o.keyword, p.option = k, o
	switch {
	case k.value == needsValue && o.value == "":
		return faultf(o.at, "%s needs a value", o.name)
	case k.value == noValue && o.hasValue:
		return faultf(o.valueAt, "%s takes no value", o.name)
	}
	return k.parse(p, o)
}

// requirements judges the requires keywords before all others: a rule may have
// keywords that only what it requires would know.
func (p *parser) requirements() (met bool, err error) {
	r := p.rule
	for i := range p.options {
		o := &p.options[i]
		if o.name != "requires" {
			continue
		}
		if o.value == "" {
			return false, faultf(o.at, "requires needs a value")
		}
		unmet, err := p.requires(o.value, o.valueAt)
		if err != nil {
			return false, err
		}
		if unmet != "" {
			r.Unmet, r.Requirements = unmet, o.value
		}
	}
	if r.Unmet == "" {
		return true, nil
	}
	r.GID, r.SID = 1, p.sid()
	return false, nil
}

// split cuts the options apart. A semicolon ends one unless a backslash stands
// before it, in quotes as elsewhere.
func (p *parser) split(text string, open int) error {
	end := len(text)
	for end > open && isSpace(text[end-1]) {
		end--
	}
	if text[end-1] != ')' {
		if strings.LastIndexByte(text, ')') < 0 {
			return faultf(open, "( is not closed at the end of the rule")
		}
		return faultf(strings.LastIndexByte(text, ')')+1, "text after the rule's closing )")
	}
	end--
	for at := open + 1; ; {
		for at < end && isSpace(text[at]) {
			at++
		}
		if at == end {
			break
		}
		stop := at
		for {
			n := strings.IndexByte(text[stop:end], ';')
			if n < 0 {
				return faultf(at, "the option %q is not ended by a semicolon", clip(text[at:end]))
			}
			if stop += n; text[stop-1] != '\\' {
				break
			}
			stop++
		}
		o := option{at: at}
		name, value, has := strings.Cut(text[at:stop], ":")
		o.name, o.hasValue = trim(name), has
		o.value, o.valueAt = skipSpace(value, at+len(name)+1)
		o.value = trim(o.value)
		if o.name == "" {
			return faultf(at, "a keyword is missing")
		}
		p.options = append(p.options, o)
		at = stop + 1
	}
	if len(p.options) == 0 {
		return faultf(open, "the rule has no options")
	}
	return nil
}

// shorten keeps a reason readable that quotes a rule's text.
func shorten(s string) string {
	const most = 400
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most/2], "") + " … " + strings.ToValidUTF8(s[len(s)-most/2:], "")
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// addCondition appends one, which is about some applications or any.
func (p *parser) addCondition(c Condition, apps AppSet) error {
	p.rule.Conditions = append(p.rule.Conditions, c)
	return p.restrict(p.option.at, apps, c.Keyword())
}
