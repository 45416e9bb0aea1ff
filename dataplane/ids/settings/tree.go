package settings

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"ngfw.sh/dataplane/ids"
)

// entry is a key and its value, the levels joined by dots. Items of lists are
// numbered from 0.
type entry struct{ key, value string }

// tree is the entries of a file, in order, each key once.
type tree struct {
	entries []entry
	index   map[string]int
}

func (t *tree) read(text []byte) error {
	// Suricata's files begin with a directive that names a version which the
	// library need not know.
	if rest, ok := bytes.CutPrefix(text, []byte("%YAML 1.1")); ok {
		text = rest
	}
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(text, &doc, yaml.UseOrderedMap()); err != nil {
		return err
	}
	t.flatten("", doc)
	return nil
}

func (t *tree) flatten(key string, v any) {
	switch v := v.(type) {
	case yaml.MapSlice:
		for _, item := range v {
			t.flatten(join(key, fmt.Sprint(item.Key)), item.Value)
		}
	case []any:
		for i, item := range v {
			t.flatten(join(key, strconv.Itoa(i)), item)
		}
	case nil:
		t.set(key, "")
	case bool:
		t.set(key, map[bool]string{true: "yes", false: "no"}[v])
	default:
		t.set(key, fmt.Sprint(v))
	}
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func (t *tree) set(key, value string) {
	if t.index == nil {
		t.index = map[string]int{}
	}
	if i, ok := t.index[key]; ok {
		t.entries[i].value = value
		return
	}
	t.index[key] = len(t.entries)
	t.entries = append(t.entries, entry{key, value})
}

func (e entry) bool() (bool, error) {
	switch strings.ToLower(e.value) {
	case "yes", "true", "on", "1":
		return true, nil
	case "no", "false", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not yes or no", e.value)
}

func (e entry) oneOf(values ...string) (string, error) {
	for _, v := range values {
		if strings.EqualFold(v, e.value) {
			return v, nil
		}
	}
	return "", fmt.Errorf("%q is none of %s", e.value, strings.Join(values, ", "))
}

func (e entry) int(low, high int) (int, error) {
	n, err := strconv.Atoi(e.value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not a number from %d to %d", e.value, low, high)
	}
	return n, nil
}

// size reads a number of bytes: 100, 200kb, 32 MiB.
func (e entry) size() (uint64, error) {
	s := strings.ToLower(strings.ReplaceAll(e.value, " ", ""))
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	units := map[string]uint64{"": 1, "b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20, "gb": 1 << 30, "gib": 1 << 30}
	unit, ok := units[s[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("%q is no size", e.value)
	}
	return uint64(n * float64(unit)), nil
}

func (e entry) ports() ([]uint16, error) {
	var ports []uint16
	for _, word := range strings.FieldsFunc(strings.Trim(e.value, "[]"), func(r rune) bool { return r == ',' || r == ' ' }) {
		low, high, ranged := strings.Cut(word, ":")
		if !ranged {
			low, high, ranged = strings.Cut(word, "-")
		}
		if !ranged {
			high = low
		}
		a, err1 := strconv.ParseUint(low, 10, 16)
		b, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil || b < a || b-a > 4096 {
			return nil, fmt.Errorf("%q is no list of ports", e.value)
		}
		for p := a; p <= b; p++ {
			ports = append(ports, uint16(p))
		}
	}
	return ports, nil
}

func (e entry) policy() (string, error) {
	v := strings.ToLower(e.value)
	if v == "auto" {
		return v, nil
	}
	if _, ok := ids.ParsePolicy(v); !ok {
		return "", fmt.Errorf("%q is no exception policy: auto, ignore, drop-flow, drop-packet, pass-flow, pass-packet, bypass or reject", e.value)
	}
	return v, nil
}
