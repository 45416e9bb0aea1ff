package ids_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/traffic"
)

// journal notes all that is said of flows and messages.
type journal struct {
	told
	lines []string
}

func (j *journal) Alert(a *ids.Alert) {
	j.lines = append(j.lines, fmt.Sprint("alert ", a.Match.Rule.SID, " ", a.Flow.Client))
}

func (j *journal) Transaction(f *ids.Flow, t app.Transaction) {
	key, record := t.Record()
	text, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	j.lines = append(j.lines, fmt.Sprint(f.Client, " ", key, " ", string(text), " ", t.Events()))
}

func (j *journal) File(f *ids.Flow, _ app.Transaction, d app.Direction, x *app.File) {
	j.lines = append(j.lines, fmt.Sprint(f.Client, " file ", d, " ", x.ID, " ", x.Name, " ", x.Size, " ", x.State))
}

func (j *journal) Flow(f *ids.Flow, reason string) {
	j.lines = append(j.lines, fmt.Sprint("flow ", f.Client, " ", f.Server, " ", f.Detect.Packets, f.Detect.Bytes, " ", f.Detect.Protocol, " ", f.State(), " ", f.Detect.Bits(nil)))
}

// What flows and messages are kept in is used again by others, which is not to be noticed:
// the same traffic says the same, whatever has passed before.
func TestReuse(t *testing.T) {
	e, _ := engine(t, ids.DefaultConfig(), `alert http any any -> any any (http.uri; content:"html"; flowbits:set,page; sid:1;)
alert http any any -> any any (flow:to_client; flowbits:isset,page; file.data; content:"function"; sid:2;)
alert tls any any -> any any (tls.cert_fingerprint; content:":"; sid:3;)
alert tls any any -> any any (ja3.hash; content:"a"; sid:4;)
alert dns any any -> any any (dns.query; content:"example"; sid:5;)
alert tcp any any -> any any (content:"Cookie"; content:"id="; distance:0; sid:6;)
alert http any any -> any any (http.header; content:"Accept-Language"; http.header_names; content:"Cookie"; sid:7;)
alert http any any -> any any (http.start; content:"nginx"; sid:8;)`)
	set := e.Set()
	j := &journal{}
	e = ids.New(ids.DefaultConfig(), ids.Deps{Log: j, Panicked: func(what string) { t.Error(what) }})
	e.Use(set)
	w := e.Worker()
	x := mixed(t, 1<<20)
	var first []string
	for round := range 6 {
		j.lines = nil
		run(w, x.Frames)
		w.Finish()
		if round == 0 {
			first = j.lines
		}
		if d := cmp.Diff(first, j.lines); d != "" {
			t.Fatalf("in round %d it is otherwise: %s", round, d)
		}
		run(w, spoiled(x.Frames, uint64(round)))
		w.Finish()
	}
	if len(first) < 100 {
		t.Errorf("only %d lines were compared", len(first))
	}
}

// spoiled is traffic of which packets are lost, cut, changed, or come twice.
func spoiled(frames []traffic.Frame, seed uint64) (out []traffic.Frame) {
	r := rand.New(rand.NewPCG(seed, 1))
	for _, f := range frames {
		b := f.Data
		switch r.IntN(20) {
		case 0:
			continue
		case 1:
			b = b[:40+r.IntN(len(b)-39)]
		case 2:
			b = append([]byte(nil), b...)
			for range 8 {
				b[20+r.IntN(len(b)-20)] = byte(r.Uint32())
			}
		case 3:
			out = append(out, f)
		}
		out = append(out, traffic.Frame{At: f.At, Data: b})
	}
	return out
}
