package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/app/apptest"
	"ngfw.sh/dataplane/ids/rule"
)

// play runs a flow through a session; cut gives the size of the next piece.
func play(f *apptest.Flow, limits Limits, cut func(int) int) *Session {
	over := OverTCP
	if f.UDP {
		over = OverUDP
	}
	s := Open(Flow{Over: over, ClientPort: f.ClientPort, ServerPort: f.ServerPort, Limits: limits})
	turn := Direction(0)
	for _, p := range f.Pieces {
		dir := ToServer
		if p.ToClient {
			dir = ToClient
		}
		switch {
		case p.End:
			s.Close(dir ^ turn)
		case p.Gap > 0:
			s.Gap(dir^turn, p.Gap)
		default:
			for data := p.Data; len(data) > 0; {
				n := len(data)
				if cut != nil && !f.UDP {
					n = min(max(cut(n), 1), n)
				}
				s.Feed(dir^turn, data[:n])
				if s.Reversed() {
					turn = 1
				}
				data = data[n:]
			}
		}
	}
	return s
}

// dump is everything a session has told, as text.
func dump(s *Session) string {
	var text strings.Builder
	fmt.Fprintf(&text, "protocol %v of %v %v original %v failed %v %v done %v events %v\n", s.Protocol(), s.ProtocolOf(0), s.ProtocolOf(1), s.Original(), s.Failed(0), s.Failed(1), s.Done(), s.Events())
	for _, f := range s.Frames() {
		fmt.Fprintf(&text, "  %v frame %s %d %v %.60q\n", f.Dir, f.Name, len(f.Data), f.Whole, f.Data)
	}
	for _, t := range s.Transactions() {
		events := append([]string(nil), t.Events()...)
		sort.Strings(events)
		fmt.Fprintf(&text, "tx %d complete %v %v events %v\n", t.ID(), t.Complete(0), t.Complete(1), events)
		for dir := range Direction(2) {
			for _, name := range kindNames {
				kind := rule.KindOf(name)
				for _, buf := range t.Buffers(kind, dir, nil) {
					data := buf.Data
					if buf.Offset > 0 { // which part is kept depends on the pieces it came in
						fmt.Fprintf(&text, "  %v %-22s %5d bytes %v\n", dir, name, buf.Offset+uint64(len(data)), buf.Whole)
						continue
					}
					if len(data) > 300 {
						data = append(append([]byte(nil), data[:300]...), "..."...)
					}
					fmt.Fprintf(&text, "  %v %-22s %5d+%d %v settled %v %q\n", dir, name, buf.Offset, len(buf.Data), buf.Whole, t.Settled(kind, dir), data)
				}
			}
			for _, name := range numberNames {
				if v := t.Numbers(name, dir, nil); len(v) > 0 {
					fmt.Fprintf(&text, "  %v %s %v\n", dir, name, v)
				}
			}
			for _, f := range t.Files(dir) {
				fmt.Fprintf(&text, "  %v file %d %q %d bytes state %d md5 %x\n", dir, f.ID, f.Name, f.Size, f.State, f.MD5)
			}
		}
		if key, v := t.Record(); v != nil {
			j, err := json.Marshal(v)
			fmt.Fprintf(&text, "  record %s %s %v\n", key, j, err)
		}
	}
	return text.String()
}

var numberNames = slices.Sorted(maps.Keys(keywordsAnswered))

// kindNames are all kinds that are filled.
var kindNames = slices.Sorted(maps.Keys(kindsFilled))

// TestDump shows what is made of the capture files that NGFW_DUMP names.
func TestDump(t *testing.T) {
	if os.Getenv("NGFW_DUMP") == "" {
		t.Skip("no NGFW_DUMP")
	}
	for _, name := range strings.Fields(os.Getenv("NGFW_DUMP")) {
		for _, f := range apptest.Read(t, name) {
			s := play(f, Limits{HashFiles: true, DecompressLayers: 3, Frames: true}, nil)
			t.Logf("%s %d > %d\n%s", name, f.ClientPort, f.ServerPort, dump(s))
		}
	}
}

// A file that browsers get must be seen, however the response is written.
func TestEvasions(t *testing.T) {
	suite := apptest.Suite(t)
	caps, _ := filepath.Glob(filepath.Join(suite, "cases/http-evader/*/input.pcap"))
	if len(caps) == 0 {
		t.Skip("SKIPPED: the suite has no evasions")
	}
	missed := 0
	for _, name := range caps {
		for cutName, cut := range map[string]func(int) int{"whole": nil, "bytes": func(int) int { return 1 }} {
			seen := false
			for _, f := range apptest.Read(t, name) {
				s := play(f, Limits{DecompressLayers: 3}, cut)
				for _, tr := range s.Transactions() {
					for _, b := range tr.Buffers(rule.KindOf("file.data"), ToClient, nil) {
						seen = seen || bytes.Contains(b.Data, []byte("EICAR-STANDARD-ANTIVIRUS-TEST-FILE")) && bytes.Contains(b.Data, []byte("X5O!P%@AP[4"))
					}
				}
			}
			if !seen {
				missed++
				t.Logf("%s, %s: not seen", filepath.Base(filepath.Dir(name)), cutName)
			}
		}
	}
	if missed*100 > len(caps) {
		t.Errorf("%d of %d not seen", missed, 2*len(caps))
	}
}
