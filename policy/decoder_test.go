package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// decodeBoth holds a decoder's answer against Decode's.
func decodeBoth(t interface {
	Helper()
	Fatalf(string, ...any)
}, d *policy.Decoder, data []byte) {
	t.Helper()
	got, gotErr := d.Decode(data)
	want, wantErr := policy.Decode(data)
	if (gotErr == nil) != (wantErr == nil) || gotErr != nil && fields(gotErr) != fields(wantErr) {
		t.Fatalf("%s: it says %v, afresh it is %v", data, gotErr, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" && gotErr == nil {
		t.Fatalf("%s (-afresh +remembered):\n%s", data, diff)
	}
}

// TestDecoderReadsWhatIsThere edits policies, and now and then damages their text.
func TestDecoderReadsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d policy.Decoder
		p, env := policytest.Policies().Draw(t, "policy"), policy.Env{}
		for range 6 {
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			decodeBoth(t, &d, data)
			damaged := append([]byte(nil), data...)
			for range rapid.IntRange(1, 2).Draw(t, "bytes") {
				at := rapid.IntRange(0, len(damaged)-1).Draw(t, "at")
				damaged[at] = rapid.SampledFrom([]byte(`{}[]",:\x 07`)).Draw(t, "byte")
			}
			decodeBoth(t, &d, damaged)
			edit(t, &p, &env, policytest.Policies().Draw(t, "other"))
		}
	})
}

const oneRule = `{"name":"n","zone_from":"LAN","zone_to":"WAN","action":"drop","schedule":{"enabled":true,"days":[1]}}`

// What a remembered rule's text stands between matters too.
func TestDecoderOnDocuments(t *testing.T) {
	for _, text := range []string{
		`{"rules":[` + oneRule + `]}`, `{"rules":[` + oneRule + `,` + oneRule + `],"rules":[]}`, `{"rules":[` + oneRule + `,]}`, `{"rules":[,` + oneRule + `]}`,
		`{"rules":[` + oneRule + ` ` + oneRule + `]}`, `{"rules":[` + oneRule + `]`, `{"rules":[` + oneRule + `]}x`, ` { "a" : [ "rules" ] , "rules" : [ ` + oneRule + ` ] } `,
		`{"zones":["rules",[{"rules":[` + oneRule + `]}]],"rules":[` + oneRule + `]}`, `[` + oneRule + `]`, `{"rules":{},"nat":[]}`, `{"\u0072ules":[` + oneRule + `]}`,
		`{"rules":[` + oneRule + "],\"time_zone\":\"\xff\"}", `{"rules":[],"time_zone":"UTC"}`, `{"rules":[` + oneRule + `:1]}`, `{"rules":[` + oneRule + `}]}`, ``, `{`, `{"rules"`, `{"rules":[`,
		`{"rules":[` + oneRule + `],"revision":1e2}`, `{"rules":[{"name":"x"},` + oneRule + `]}`,
	} {
		var d policy.Decoder
		for range 2 {
			decodeBoth(t, &d, []byte(`{"rules":[`+oneRule+`]}`))
			decodeBoth(t, &d, []byte(text))
		}
	}
	// Its memory is its own.
	var d policy.Decoder
	for range 3 {
		p, err := d.Decode([]byte(`{"rules":[` + oneRule + `]}`))
		if err != nil || p.Rules[0].Schedule.Days[0] != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		p.Rules[0].Schedule.Days[0] = 6
	}
}

func FuzzDecoder(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d))
	}
	f.Add([]byte(`{"rules":[` + oneRule + `, ` + oneRule + `],"zones":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d policy.Decoder
		decodeBoth(t, &d, []byte(`{"rules":[`+oneRule+`]}`))
		decodeBoth(t, &d, data)
		decodeBoth(t, &d, data)
	})
}
