package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/policy"
)

// sameDocument holds the parser against encoding/json's.
func sameDocument(t testing.TB, data []byte) {
	t.Helper()
	got, err := policy.PlainDocument(data)
	if want := json.Valid(data) && utf8.Valid(data); err != nil {
		if want && !strings.Contains(err.Error(), "nested deeper") {
			t.Fatalf("%q: %v", data, err)
		}
		return
	} else if !want {
		t.Fatalf("%q is accepted", data)
	}
	var want any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-encoding/json +ours):\n%s", data, diff)
	}
}

var documents = []string{
	`{}`, `[]`, ` [ ] `, "\t{ \"a\" :\r\n1 , \"b\":[ true,false , null ]}\n", `"a"`, `-1.5e+10`, ` 0 `, `null`,
	`{"a":{"b":[[],{},[{"c":"d"}]]},"a":2}`, `["\"","\\","\\\"","a\\","\u00e9\ud83d\ude00\ud800\/\b"]`, `"é\n"`, `{"\u0061":1,"a":2}`,
	`[1,2,]`, `{"a"}`, `[1 2]`, `"a`, `tru`, `01`, `{"a":1,}`, "[\"\x01\"]", ``, ` `, "\xff", `[1]]`,
	`["` + strings.Repeat("long ", 20) + `","` + strings.Repeat("long ", 20) + `"]`,
}

func TestDocument(t *testing.T) {
	for _, d := range documents {
		sameDocument(t, []byte(d))
	}
	var large strings.Builder // more members than are walked
	for i := range 200 {
		fmt.Fprintf(&large, `,"k%d":%d`, i%150, i)
	}
	sameDocument(t, []byte("{"+large.String()[1:]+"}"))
	if _, err := policy.DecodeZone([]byte(`{"name":"LAN"` + large.String() + `}`)); err == nil || strings.Count(fields(err), "is not a field") != 100 {
		t.Errorf("unknown members: %v", err)
	}
}

func FuzzDocument(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameDocument(t, data) })
}

func BenchmarkDecode(b *testing.B) {
	data, err := json.Marshal(manyRules(b, 10_000))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
