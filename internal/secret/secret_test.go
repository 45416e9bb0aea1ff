package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const hush = "hush-hush"

type holder struct {
	Key     Text
	Pointer *Text
	Keys    []Text
}

func TestNothingShowsIt(t *testing.T) {
	s := Text(hush)
	h := holder{s, &s, []Text{s}}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("of it", "key", s, "pointer", &s, "holder", h)
	}
	printed := map[string]string{
		"slog": log.String(), "Sprint": fmt.Sprint(s, &s, h), "Sprintln": fmt.Sprintln(s, h), "error": fmt.Errorf("with %v: %w", s, fmt.Errorf("%v", h)).Error(),
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "YAML": yaml.Marshal, "XML": xml.Marshal} {
		b, err := marshal(h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		printed[name] = string(b)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%U", "%c", "%10s", "%T"} {
		printed[verb] = fmt.Sprintf(strings.Repeat(verb+" ", 3), s, &s, h)
	}
	hex := fmt.Sprintf("%x", hush)
	for how, text := range printed {
		if low := strings.ToLower(text); strings.Contains(low, hush) || strings.Contains(low, hex) || strings.Contains(strings.ReplaceAll(low, " ", ""), hex) {
			t.Errorf("%s shows it: %s", how, text)
		}
	}
	if !strings.Contains(printed["%+v"], hidden) || !strings.Contains(printed["JSON"], "secret") {
		t.Errorf("that there is one should show: %q, %q", printed["%+v"], printed["JSON"])
	}
	if fmt.Sprint(Text("")) != "" {
		t.Error("an empty one should show as empty")
	}
	if s.Expose() != hush {
		t.Error("it is lost")
	}
}

func TestItIsRead(t *testing.T) {
	for name, unmarshal := range map[string]func(any) error{
		"JSON": func(to any) error { return json.Unmarshal([]byte(`{"Key":"`+hush+`"}`), to) },
		"YAML": func(to any) error { return yaml.Unmarshal([]byte("key: "+hush), to) },
	} {
		var h holder
		if err := unmarshal(&h); err != nil || h.Key.Expose() != hush {
			t.Errorf("%s: %v, %q", name, err, h.Key.Expose())
		}
	}
}
