package detect

import (
	"bytes"
	"fmt"

	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// program is the matches of one buffer, as they are evaluated.
type program struct {
	steps []step
	// patient: what is not there yet decides, so that a buffer must be whole.
	patient    bool
	absent     bool // the rule matches without the buffer too
	absentOnly bool // and only so
	negative   bool // nothing must be there: the program can match an empty buffer
}

type stepKind uint8

const (
	stepContent stepKind = iota
	stepPCRE
	stepByteTest
	stepByteJump
	stepByteExtract
	stepByteMath
	stepDataAt
	stepSize
	stepEntropy
	stepBase64
	stepDataset
	stepDataRep
	stepASN1
)

// step is one match.
type step struct {
	kind     stepKind
	relative bool
	negated  bool
	// next says that the match after it is relative: if that fails, this one is looked for further on.
	next bool
	// chain: what is before it are contents alone, so that it begins ever further on when they are
	// looked for again.
	chain bool

	content  *rule.Content
	pattern  []byte // in lower case if fold
	fold     bool
	regex    *regex.Regex
	noLimits bool
	captures []captureTo
	test     *rule.ByteTest
	jump     *rule.ByteJump
	extract  *rule.ByteExtract
	math     *rule.ByteMath
	dataAt   *rule.DataAt
	size     rule.Compare
	entropy  *rule.Entropy
	decode   *rule.Base64Decode
	decoded  *program
	data     *dataCheck
	asn1     *asn1Check
}

type captureTo struct {
	flow bool
	name uint32
}

// program compiles a buffer.
func (c *compiler) program(r *rule.Rule, b *rule.Buffer) (*program, error) {
	p := &program{negative: true}
	for _, m := range b.Matches {
		s := step{}
		switch m := m.(type) {
		case *rule.Content:
			s.kind, s.content, s.negated, s.relative = stepContent, m, m.Is(rule.Negated), m.Relative()
			s.pattern = m.Pattern
			if m.Is(rule.NoCase) && !bytes.Equal(bytes.ToUpper(m.Pattern), bytes.ToLower(m.Pattern)) {
				s.fold = true
				s.pattern = make([]byte, len(m.Pattern))
				for i, x := range m.Pattern {
					s.pattern[i] = regex.Fold(x)
				}
			}
			p.patient = p.patient || s.negated || m.Is(rule.EndsWith)
			p.negative = p.negative && s.negated
		case *rule.PCRE:
			s.kind, s.negated, s.relative = stepPCRE, m.Is(rule.PCRENegated), m.Is(rule.PCRERelative)
			s.noLimits = m.Is(rule.PCRENoLimits)
			re, err := c.regex(m)
			if err != nil {
				return nil, err
			}
			s.regex = re
			for _, to := range m.Captures {
				s.captures = append(s.captures, captureTo{to.Scope == "flow", names.intern(to.Name)})
			}
			p.patient = p.patient || s.negated
			p.negative = p.negative && s.negated
		case *rule.ByteTest:
			s.kind, s.test, s.relative = stepByteTest, m, m.Relative
			p.negative = false
		case *rule.ByteJump:
			s.kind, s.jump, s.relative = stepByteJump, m, m.Relative
			p.patient = p.patient || m.FromEnd
			p.negative = false
		case *rule.ByteExtract:
			s.kind, s.extract, s.relative = stepByteExtract, m, m.Relative
			p.negative = false
		case *rule.ByteMath:
			s.kind, s.math, s.relative = stepByteMath, m, m.Relative
			p.negative = false
		case *rule.DataAt:
			s.kind, s.dataAt, s.relative, s.negated = stepDataAt, m, m.Relative, m.Negated
			p.patient = p.patient || m.Negated
			p.negative = p.negative && m.Negated
		case *rule.Size:
			s.kind, s.size = stepSize, m.Compare
			p.patient = true
		case *rule.Entropy:
			s.kind, s.entropy = stepEntropy, m
			p.patient = true
			p.negative = false
		case *rule.Base64Decode:
			s.kind, s.decode, s.relative = stepBase64, m, m.Relative
			p.negative = false
			for i := range r.Buffers {
				if d := &r.Buffers[i]; d.Kind.Layer == rule.DecodedData {
					var err error
					if s.decoded, err = c.program(r, d); err != nil {
						return nil, err
					}
				}
			}
		case *rule.Dataset:
			s.kind = stepDataset
			d, err := c.dataset(r, m.SetOptions)
			if err != nil {
				return nil, err
			}
			s.data = &dataCheck{set: d, op: m.Op, enrichment: m.EnrichmentKey}
			p.patient = true
		case *rule.DataRep:
			s.kind = stepDataRep
			d, err := c.dataset(r, m.SetOptions)
			if err != nil {
				return nil, err
			}
			s.data = &dataCheck{set: d, compare: m.Compare}
			p.patient = true
		case *rule.Absent:
			p.absent, p.absentOnly = true, !m.OrElse
			continue
		default:
			return nil, notSupported(fmt.Sprintf("%T", m))
		}
		p.steps = append(p.steps, s)
	}
	for i := range p.steps {
		if i+1 < len(p.steps) && p.steps[i+1].relative {
			p.steps[i].next = true
		}
	}
	p.chains()
	return p, nil
}

// chains finds the steps before which there are contents alone, back to one that is not relative.
func (p *program) chains() {
	for i := range p.steps {
		if !p.steps[i].relative {
			continue
		}
		j := i - 1
		for ; j >= 0; j-- {
			s := &p.steps[j]
			still := s.kind == stepContent && s.negated || s.kind == stepDataAt || s.kind == stepByteTest
			if s.kind != stepContent && !still || s.kind == stepContent && (s.content.Distance.IsVariable() || s.content.Within.IsVariable() ||
				s.content.Offset.IsVariable() || s.content.Depth.IsVariable()) {
				break
			}
			if !s.relative && !still {
				p.steps[i].chain = true
				break
			}
		}
	}
}

// regex compiles an expression, equal ones once.
func (c *compiler) regex(x *rule.PCRE) (*regex.Regex, error) {
	var flags regex.Flags
	for _, f := range [...]struct {
		of rule.PCREFlags
		is regex.Flags
	}{{rule.PCRECaseless, regex.Caseless}, {rule.PCREMultiline, regex.Multiline}, {rule.PCREDotAll, regex.DotAll}, {rule.PCREExtended, regex.Extended},
		{rule.PCREAnchored, regex.Anchored}, {rule.PCREDollarEnd, regex.DollarEnd}, {rule.PCREUngreedy, regex.Ungreedy}} {
		if x.Is(f.of) {
			flags |= f.is
		}
	}
	key := string([]byte{byte(flags)}) + x.Expression
	if re, ok := c.expressions[key]; ok {
		return re, nil
	}
	re, err := regex.Compile(x.Expression, flags)
	if err != nil {
		return nil, fmt.Errorf("pcre: %w", err)
	}
	c.expressions[key] = re
	return re, nil
}
