package detect

import (
	"fmt"
	"slices"
	"testing"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// FuzzInspect compiles whatever parses and shows it whatever traffic: nothing breaks, and search
// and the slow reference agree.
func FuzzInspect(f *testing.F) {
	f.Add(`content:"a"; content:"b"; distance:1; within:3; byte_jump:1,0,relative; isdataat:2,relative;`, []byte("a b\x01xyz"), true)
	f.Add(`http.uri; content:"/a"; pcre:"/b+c/R"; http.method; content:"GET"; bsize:3;`, []byte("/abbc"), false)
	f.Add(`file.data; base64_decode:offset 1; base64_data; content:"x"; byte_math:bytes 2,offset 0,oper /,rvalue 3,result r; byte_test:1,>,r,0;`, []byte("aGVsbG8="), false)
	f.Add(`http.uri; url_decode; to_md5; xor:"0aff"; strip_whitespace; content:!"x"; entropy:value <4;`, []byte("%41+b"), false)
	f.Fuzz(func(t *testing.T, options string, data []byte, isTCP bool) {
		if len(options) > 2000 || len(data) > 4000 {
			return
		}
		parser := rule.NewParser(rule.DefaultConfig())
		var rules []*rule.Rule
		for i, protocol := range []string{"tcp", "http", "ip"} {
			if r, err := parser.Parse(fmt.Sprintf("alert %s any any -> any any (%s sid:%d;)", protocol, options, i+1)); err == nil {
				rules = append(rules, r)
			}
		}
		if len(rules) == 0 {
			return
		}
		var got [2][]uint32
		for i := range got {
			cfg := testConfig()
			cfg.NoPrefilter = i == 1
			s, _ := Compile(rules, cfg)
			w := s.NewWorker(NewState(DefaultStateConfig()))
			fl := flow(t, "http1")
			p := tcp(string(data))
			if !isTCP {
				p = udp(string(data))
			}
			half := len(data) / 2
			tx := &fakeTx{}
			for n, part := range [][]byte{data[:half], data} {
				whole := n == 1
				for dir := range tx.buffers {
					tx.buffers[dir] = map[string][]app.Buffer{}
					for _, k := range []string{"http.uri", "http.method", "http.header", "http.cookie"} {
						tx.buffers[dir][k] = []app.Buffer{{Data: data, Whole: true}}
					}
					for _, k := range []string{"file.data", "http.request_body", "http.response_body"} {
						tx.buffers[dir][k] = []app.Buffer{{Data: part, Whole: whole}}
					}
				}
				tx.complete = [2]bool{whole, whole}
				in := &Input{Packet: p, Flow: fl, Direction: app.Direction(n), InStream: isTCP, Transactions: []app.Transaction{tx}}
				if isTCP {
					in.Stream, in.Old = part, 0
				}
				for _, m := range w.Inspect(in, nil) {
					got[i] = append(got[i], m.Rule.SID)
				}
			}
		}
		if !slices.Equal(got[0], got[1]) {
			t.Fatalf("%s in %q: with search %v, without %v", options, data, got[0], got[1])
		}
	})
}
