package analytics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// serveStore is the process that TestProcessKilledDuringIngest kills: a DB with
// an engine process of its own, behind a socket.
func serveStore(ctx context.Context, dir string) error {
	cfg := DefaultConfig()
	cfg.DataDir = filepath.Join(dir, "data")
	db, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), EngineCommand: []string{os.Args[0], "engine"}})
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "store.sock"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{device}", func(w http.ResponseWriter, r *http.Request) {
		p, err := db.Positions(r.Context(), r.PathValue("device"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		json.NewEncoder(w).Encode(p)
	})
	mux.HandleFunc("POST /{device}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var b ngfwv1.FlowBatch
		if err == nil {
			err = proto.Unmarshal(body, &b)
		}
		if err == nil {
			err = db.Store(r.Context(), Origin{org.OrgID, r.PathValue("device"), 7}, &b)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		} else if r.URL.RawQuery == "die" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	})
	go http.Serve(listener, mux)
	return db.Run(ctx)
}

// storeProcess is that process, started again whenever it was killed.
type storeProcess struct {
	dir    string
	client *http.Client
	cmd    *exec.Cmd
}

func (p *storeProcess) start(t *testing.T) {
	t.Helper()
	os.Remove(filepath.Join(p.dir, "store.sock"))
	p.cmd = exec.Command(os.Args[0], "store", p.dir)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (p *storeProcess) do(method, path string, b *ngfwv1.FlowBatch) ([]byte, error) {
	body, err := proto.Marshal(b)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, "http://store/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	return text, err
}

// TestProcessKilledDuringIngest kills the process that stores, and with it its
// engine, at random moments. Devices behave as agents do: after a failure they
// ask for their position and go on behind it. Every batch must be there exactly
// once, whether its answer arrived or not.
func TestProcessKilledDuringIngest(t *testing.T) {
	needLibrary(t)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	p := &storeProcess{dir: t.TempDir()}
	p.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(p.dir, "store.sock"))
	}}}
	p.start(t)
	defer func() { p.cmd.Process.Kill(); p.cmd.Wait() }()

	const devices, rows = 6, 40
	now := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var (
		wg     sync.WaitGroup
		stored [devices]atomic.Uint64
		die    atomic.Bool  // the next batch that is stored is the process's last
		unsure atomic.Int64 // batches that turned out to be stored although their answer was lost
	)
	for i := range devices {
		device := fmt.Sprint("dev-", i)
		events := make([]*ngfwv1.FlowEvent, rows)
		for j := range events {
			at := now.Add(-time.Duration(2+j%3)*time.Hour - time.Duration(i*rows+j)*time.Millisecond)
			events[j] = flow(at, assorted(rand.New(rand.NewPCG(uint64(i), uint64(j)))))
		}
		wg.Go(func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				path := device
				if die.CompareAndSwap(true, false) {
					path += "?die"
				}
				_, err := p.do(http.MethodPost, path, batch("e", n, events...))
				for ; err != nil; time.Sleep(5 * time.Millisecond) { // between two attempts to reach it
					var text []byte
					if text, err = p.do(http.MethodGet, device, nil); err != nil {
						continue
					}
					var at map[string]uint64
					if err = json.Unmarshal(text, &at); err != nil {
						t.Error(err)
						return
					}
					switch at["e"] {
					case n:
						unsure.Add(1)
					case n - 1:
						n--
					default:
						t.Errorf("%s: position %d after %d was acknowledged", device, at["e"], n-1)
						return
					}
				}
				stored[i].Store(n)
			}
		})
	}
	total := func() (n uint64) {
		for i := range stored {
			n += stored[i].Load()
		}
		return n
	}
	for round := range rounds {
		begun := total()
		waitFor(t, "batches between kills", func() bool { return t.Failed() || total() >= begun+uint64(5+rand.IntN(40)) })
		if round%2 == 0 {
			die.Store(true) // between an insert and its answer
		} else {
			anyMoment()
			p.cmd.Process.Kill()
		}
		p.cmd.Wait()
		p.start(t)
	}
	last := total()
	waitFor(t, "batches after the last kill", func() bool { return t.Failed() || total() > last+devices })
	cancel()
	wg.Wait()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the process did not stop in order: %v", err)
	}

	cfg := DefaultConfig()
	cfg.DataDir = filepath.Join(p.dir, "data")
	db := runTest(t, cfg, Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), EngineCommand: []string{os.Args[0], "engine"}})
	for i := range devices {
		storedOnce(t, db, fmt.Sprint("dev-", i), stored[i].Load(), rows)
	}
	rollupsEqualRows(t, db, 0, &ngfwv1.TopRequest{From: seconds(now.Add(-24 * time.Hour)), To: seconds(now), Limit: present(int32(100))}, "", Rollup)
	if n := unsure.Load(); n < int64(rounds/2) {
		t.Errorf("%d batches were found stored without an answer, want %d at least", n, rounds/2)
	}
	t.Logf("%d batches, %d of them stored without an answer, %d kills", total(), unsure.Load(), rounds)
}

// anyMoment lets a kill meet every stage of an insert: what was waited for ends
// with an answer, and the next insert has just begun then.
func anyMoment() { time.Sleep(rand.N(40 * time.Millisecond)) }

// storedOnce demands that the table has exactly the batches 1 to n of a device.
func storedOnce(t *testing.T, db *DB, device string, n, rows uint64) {
	t.Helper()
	var all, once, wrong uint64
	err := db.conn.QueryRow(t.Context(), "SELECT count(), uniqExact(batch, row), countIf(batch < 1 OR batch > {n:UInt64}) FROM flows WHERE device_id = {d:String}",
		named("d", device), named("n", n)).Scan(&all, &once, &wrong)
	if err != nil || all != n*rows || once != n*rows || wrong != 0 {
		t.Errorf("%s: %d rows, %d different, %d of no acknowledged batch, %v, want %d", device, all, once, wrong, err, n*rows)
	}
	if p, err := db.Positions(t.Context(), device); err != nil || p["e"] != n {
		t.Errorf("%s: position %d, %v, want %d", device, p["e"], err, n)
	}
}
