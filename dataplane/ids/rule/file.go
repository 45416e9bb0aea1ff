package rule

// FileHash checks whether a file's digest is in a list.
type FileHash struct {
	Algorithm string // md5, sha1 or sha256
	Negated   bool
	List      string // file of digests, relative to that of the rule
}

func (f *FileHash) Keyword() string { return "file" + f.Algorithm }
func (*FileHash) condition()        {}

func (f *FileHash) print(b []byte) []byte {
	b = append(append(append(b, "file"...), f.Algorithm...), ':')
	if f.Negated {
		b = append(b, '!')
	}
	return append(b, f.List...)
}

func parseFileHash(p *parser, o *option) error {
	s, at, not := negation(o.value, o.valueAt)
	if text, ok := unquote(s); ok {
		s = text
	}
	if !isName(s) {
		return faultf(at, "%q cannot name a file", s)
	}
	f := &FileHash{Algorithm: o.keyword.name[len("file"):], Negated: not, List: s}
	return p.addCondition(f, bufferKindByName["file.data"].Apps)
}

// FileStore keeps files on disk.
type FileStore struct {
	Direction string // "", request, response or both
	Scope     string // "", file, tx or ssn
}

func (*FileStore) Keyword() string { return "filestore" }
func (*FileStore) effect()         {}

func (f *FileStore) print(b []byte) []byte {
	b = append(b, "filestore"...)
	if f.Direction == "" {
		return b
	}
	b = append(append(b, ':'), f.Direction...)
	if f.Scope != "" {
		b = append(append(b, ','), f.Scope...)
	}
	return b
}

func parseFileStore(p *parser, o *option) error {
	f := &FileStore{}
	if o.value != "" {
		direction, scope, more := part(o.value)
		var ok bool
		if f.Direction, ok = map[string]string{"request": "request", "to_server": "request", "response": "response", "to_client": "response", "both": "both"}[direction]; !ok {
			return faultf(o.valueAt, "%q is no direction: request, response or both", direction)
		}
		if more {
			if f.Scope, ok = map[string]string{"file": "file", "tx": "tx", "ssn": "ssn", "flow": "ssn"}[trim(scope)]; !ok {
				return faultf(o.valueAt, "%q is no scope: file, tx or ssn", trim(scope))
			}
		}
	}
	p.rule.Effects = append(p.rule.Effects, f)
	return p.restrict(o.at, bufferKindByName["file.data"].Apps, o.keyword.name)
}

// Keywords that match a string in a buffer, of the older language. They mean
// the buffer with a content.
var stringKeywords = map[string]struct {
	buffer, prefix string
	flags          ContentFlags
	lower          bool
}{
	"filename":            {buffer: "file.name", flags: NoCase},
	"fileext":             {buffer: "file.name", prefix: ".", flags: NoCase | EndsWith},
	"filemagic":           {buffer: "file.magic", flags: NoCase},
	"tls.subject":         {buffer: "tls.cert_subject"},
	"tls.issuerdn":        {buffer: "tls.cert_issuer"},
	"tls.fingerprint":     {buffer: "tls.cert_fingerprint", lower: true},
	"ssh.softwareversion": {buffer: "ssh.software"},
}

func parseString(p *parser, o *option) error {
	k := stringKeywords[o.keyword.name]
	s, at, not := negation(o.value, o.valueAt)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s, at = s[1:len(s)-1], at+1
	}
	pattern, err := readPattern(s, at)
	if err != nil {
		return err
	}
	c := &Content{Pattern: append([]byte(k.prefix), pattern...), ContentFlags: k.flags}
	if not {
		c.ContentFlags |= Negated
	}
	return p.addMatchIn(c, o, bufferKindByName[k.buffer])
}
