package rule

import "strings"

// Class is an entry of classification.config.
type Class struct {
	Name        string
	Description string
	Priority    uint8
}

// ParseClassification reads lines "config classification: name,description,priority".
// What is wrong with a line costs that line; of two of a name the first counts.
func ParseClassification(f File) (map[string]Class, []*Error) {
	classes := map[string]Class{}
	problems := eachLine(f, func(s string, at int) error {
		s, at, err := configured(s, at, "classification")
		if err != nil {
			return err
		}
		name, rest, ok1 := part(s)
		i := strings.LastIndexByte(rest, ',')
		if !ok1 || i < 0 || !isName(name) {
			return faultf(at, "a classification is written name,description,priority")
		}
		priority, ok := number(trim(rest[i+1:]))
		if !ok || priority == 0 || priority > 255 {
			return faultf(at, "%q is no priority from 1 to 255", trim(rest[i+1:]))
		}
		if _, again := classes[name]; again {
			return faultf(at, "the class %s is given twice", name)
		}
		classes[name] = Class{name, trim(rest[:i]), uint8(priority)}
		return nil
	})
	return classes, problems
}

// ParseReferences reads lines "config reference: system prefix": what comes
// before an identifier of that system to make it an address.
func ParseReferences(f File) (map[string]string, []*Error) {
	systems := map[string]string{}
	problems := eachLine(f, func(s string, at int) error {
		s, at, err := configured(s, at, "reference")
		if err != nil {
			return err
		}
		name, prefix := word(s)
		name = strings.ToLower(name)
		if prefix == "" || !isName(name) {
			return faultf(at, "a reference is written system prefix")
		}
		if _, again := systems[name]; again {
			return faultf(at, "the system %s is given twice", name)
		}
		systems[name] = prefix
		return nil
	})
	return systems, problems
}

// configured cuts "config what:" off.
func configured(s string, at int, what string) (string, int, error) {
	key, rest, ok := strings.Cut(s, ":")
	if words := strings.Fields(key); !ok || len(words) != 2 || words[0] != "config" || words[1] != what {
		return "", 0, faultf(at, "a line begins with config %s:", what)
	}
	rest, at = skipSpace(rest, at+len(key)+1)
	return rest, at, nil
}

// eachLine calls for every line that is neither empty nor a comment.
// Lines that end with a backslash go on.
func eachLine(f File, line func(s string, at int) error) []*Error {
	var problems []*Error
	for count, rest := 0, f.Text; rest != ""; {
		first := count + 1
		var whole string
		var n int
		whole, rest, n = logicalLine(rest)
		count += n
		joined, lines := join(whole)
		s, at := skipSpace(joined, 0)
		if s = trim(s); s == "" || s[0] == '#' {
			continue
		}
		if err := line(s, at); err != nil {
			if e, ok := locatedIn(f.Name, first, lines, 0, err).(*Error); ok {
				problems = append(problems, e)
			}
		}
	}
	return problems
}

// DefaultClassification are the classes that rules of the common sources use.
func DefaultClassification() map[string]Class {
	m := map[string]Class{}
	for _, c := range defaultClasses {
		m[c.Name] = c
	}
	return m
}
