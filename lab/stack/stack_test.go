package stack_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
	"ngfw.sh/lab/stack"
)

var count atomic.Int64

// config is a run of a test's own, with the doubles as its programs.
func config(t *testing.T) stack.Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make network namespaces")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	cfg := stack.DefaultConfig()
	cfg.Name = fmt.Sprintf("test-%d-s%d", os.Getpid(), count.Add(1))
	cfg.Dir, cfg.Bin = filepath.Join(base, "run"), filepath.Join(base, "bin")
	if err := os.Mkdir(cfg.Bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ngfw-cloud", "ngfw-agent", "ngfw-lab"} {
		if err := os.Symlink(self, filepath.Join(cfg.Bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Listen, cfg.GRPCListen = freePort(t), freePort(t)
	t.Cleanup(func() {
		if _, err := stack.Stop(context.Background(), cfg.Dir); err != nil {
			t.Error(err)
		}
	})
	return cfg
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// begin starts a run and waits until it is ready.
func begin(t *testing.T, cfg stack.Config) (end func()) {
	t.Helper()
	s, err := stack.New(cfg, stack.Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// left lists what there is of a run.
func left(t *testing.T, cfg stack.Config) (found []string) {
	t.Helper()
	files, _ := filepath.Glob(cfg.Dir + "/*")
	found = append(found, files...)
	labs, err := lab.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range labs {
		if l.Name == cfg.Name {
			found = append(found, "lab "+l.Name)
		}
	}
	// Every process of the run has its directory in its arguments or belongs to
	// one that has, and so the mark; the doubles' engines have the mark alone.
	for _, p := range lab.Processes(func(pid int) bool {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return bytes.Contains(cmdline, []byte(cfg.Bin)) || bytes.Contains(environ, []byte("TEST_RUN="+cfg.Dir))
	}) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		found = append(found, "process "+strings.ReplaceAll(string(cmdline), "\x00", " "))
	}
	return found
}

func TestRun(t *testing.T) {
	cfg := config(t)
	t.Setenv("TEST_RUN", cfg.Dir) // inherited by everything that the run starts
	end := begin(t, cfg)

	t.Run("environment", func(t *testing.T) {
		info, err := os.Stat(cfg.Dir + "/env")
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		// A shell has the last word about quoting.
		out, err := exec.Command("sh", "-c", `. "$1"; for k in URL TOKEN DEVICE_ID LAB_HTTP LAB_LAN1_IP LAB_LAN2_IP LAB_IOT1_IP LAB_INET_IP LAB_LAN1_IP6 LAB_INET_IP6; do eval "echo \"\$NGFW_$k\""; done`, "sh", cfg.Dir+"/env").Output()
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"http://" + cfg.Listen, "it's a token", "dev1", "http://203.0.113.1/",
			"10.77.1.10", "10.77.2.10", "10.77.3.10", "203.0.113.1", "2001:db8:77:1::10", "2001:db8:ff::1"}
		if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("a second run is refused", func(t *testing.T) {
		s, err := stack.New(cfg, stack.Deps{Log: slog.Default()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); !errors.Is(err, stack.ErrRunning) {
			t.Errorf("got %v", err)
		}
	})

	for _, service := range []string{"cloud", "serve", "agent", "traffic"} {
		t.Run("killed "+service+" comes back", func(t *testing.T) {
			before := pidOf(t, cfg, service)
			if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			labtest.Eventually(t, 10*time.Second, func() error {
				if data, err := os.ReadFile(cfg.Dir + "/" + service + ".pid"); err != nil || strings.TrimSpace(string(data)) == strconv.Itoa(before) {
					return fmt.Errorf("no new process: %q, %v", data, err)
				}
				return nil
			})
		})
	}

	if len(left(t, cfg)) < 8 {
		t.Fatalf("what is looked for does not show a run: %v", left(t, cfg))
	}
	end()
	if found := left(t, cfg); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func pidOf(t *testing.T, cfg stack.Config, service string) int {
	t.Helper()
	var pid int
	labtest.Eventually(t, 10*time.Second, func() error {
		data, err := os.ReadFile(cfg.Dir + "/" + service + ".pid")
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		}
		return err
	})
	return pid
}

// supervisor runs a run in a process of its own and waits until it is ready.
func supervisor(t *testing.T, cfg stack.Config) *exec.Cmd {
	t.Helper()
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(cfg.Bin+"/ngfw-lab", "supervisor")
	cmd.Env = append(os.Environ(), "DOUBLE_CONFIG="+string(encoded), "TEST_RUN="+cfg.Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	return cmd
}

func TestStopAfterTheSupervisorWasKilled(t *testing.T) {
	cfg := config(t)
	cmd := supervisor(t, cfg)
	cmd.Process.Kill()
	cmd.Wait()
	found, err := stack.Stop(t.Context(), cfg.Dir)
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	if found := left(t, cfg); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
	if found, err := stack.Stop(t.Context(), cfg.Dir); err != nil || found {
		t.Errorf("a second stop: found %v, %v", found, err)
	}
}

func TestStopEndsALiveRun(t *testing.T) {
	cfg := config(t)
	cmd := supervisor(t, cfg)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	found, err := stack.Stop(t.Context(), cfg.Dir)
	if err != nil || !found {
		t.Fatalf("found %v, %v", found, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the supervisor did not end in order: %v", err)
	}
	if found := left(t, cfg); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestRunAfterTheSupervisorWasKilled(t *testing.T) {
	cfg := config(t)
	cmd := supervisor(t, cfg)
	cmd.Process.Kill()
	cmd.Wait()
	begin(t, cfg)()
	if found := left(t, cfg); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestInterruptedAnywhereLeavesNothing(t *testing.T) {
	cfg := config(t)
	t.Setenv("TEST_RUN", cfg.Dir)
	for after := time.Duration(0); after < 600*time.Millisecond; after += 40 * time.Millisecond {
		s, err := stack.New(cfg, stack.Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), after)
		if err := s.Run(ctx); err != nil {
			t.Errorf("interrupted after %v: %v", after, err)
		}
		cancel()
		if found := left(t, cfg); len(found) > 0 {
			t.Fatalf("interrupted after %v, left behind: %v", after, found)
		}
	}
}

func TestFailures(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, cfg *stack.Config)
		want  []string
	}{
		{"the cloud does not start", func(t *testing.T, _ *stack.Config) { t.Setenv("DOUBLE_CLOUD_FAILS", "1") },
			[]string{"cloud does not stay up", "the double was told to fail", "logs are in"}},
		{"port taken", func(t *testing.T, cfg *stack.Config) {
			ln, err := net.Listen("tcp", cfg.Listen)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
		}, []string{"address already in use", "NGFW_LISTEN="}},
		{"not built", func(t *testing.T, cfg *stack.Config) { os.Remove(cfg.Bin + "/ngfw-agent") },
			[]string{"ngfw-agent", "make build"}},
		{"somebody's directory", func(t *testing.T, cfg *stack.Config) {
			if err := os.MkdirAll(cfg.Dir+"/cloud/precious", 0o700); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, err := os.Stat(cfg.Dir + "/cloud/precious"); err != nil {
					t.Error(err)
				}
			})
		}, []string{"no run made it"}},
		{"somebody's lab", func(t *testing.T, cfg *stack.Config) {
			if _, err := lab.Up(t.Context(), lab.Config{Name: cfg.Name}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if _, err := lab.Open(cfg.Name); err != nil {
					t.Errorf("it was removed: %v", err)
				}
				lab.Down(context.Background(), cfg.Name)
			})
		}, []string{"is up already", "ngfw-lab down"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t)
			tt.spoil(t, &cfg)
			s, err := stack.New(cfg, stack.Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Run(t.Context())
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
