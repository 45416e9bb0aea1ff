package stack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ngfw.sh/lab"
	"ngfw.sh/lab/server"
	"ngfw.sh/lab/stack"
)

// The test binary stands in for the three programs when it is called by their
// names: a cloud and an agent that keep to the contract's command lines, REST
// paths and files and do nothing else, and the lab's own services for real.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	var err error
	switch filepath.Base(os.Args[0]) {
	case "ngfw-cloud":
		err = cloudDouble(ctx, os.Args[1:])
	case "ngfw-agent":
		err = agentDouble(ctx, os.Args[1:])
	case "ngfw-lab":
		err = labDouble(ctx, os.Args[1:])
	default:
		stop()
		os.Exit(m.Run())
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cloudDouble(ctx context.Context, args []string) error {
	if os.Getenv("DOUBLE_CLOUD_FAILS") != "" {
		return errors.New("the double was told to fail")
	}
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	listen, grpc, dir, name := f.String("listen", "", ""), f.String("grpc-listen", "", ""), f.String("data-dir", "", ""), f.String("tls-name", "", "")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] != "serve" || *name != "198.18.0.2" {
		return fmt.Errorf("not the contract's arguments: %v", args)
	}
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}
	for file, text := range map[string]string{"ca.pem": "a certificate", "bootstrap.json": `{"email":"e","password":"p","api_token":"it's a token","organization_id":"o"}`} {
		if err := os.WriteFile(filepath.Join(*dir, file), []byte(text), 0o600); err != nil {
			return err
		}
	}
	// A child of its own, as the analytics engine is.
	engine := exec.Command("sleep", "1000")
	if err := engine.Start(); err != nil {
		return err
	}

	var online, flow atomic.Bool
	agents, err := net.Listen("tcp", *grpc)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := agents.Accept()
			if err != nil {
				return
			}
			go func() {
				for s := bufio.NewScanner(conn); s.Scan(); {
					online.Store(true)
					flow.Store(flow.Load() || s.Text() == "flow")
				}
			}()
		}
	}()

	mux := http.NewServeMux()
	answer := func(pattern string, body func(*http.Request) (int, any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			code, v := http.StatusUnauthorized, any("no token")
			if r.URL.Path == "/health" || r.Header.Get("Authorization") == "Bearer it's a token" {
				code, v = body(r)
			}
			w.WriteHeader(code)
			json.NewEncoder(w).Encode(v)
		})
	}
	zones := []map[string]any{}
	for i, z := range []string{"WAN", "LAN", "GUEST", "IOT"} {
		zones = append(zones, map[string]any{"id": i + 1, "name": z, "interfaces": []string{}, "masquerade": false, "mss_clamping": true})
	}
	var given atomic.Int64
	answer("GET /health", func(*http.Request) (int, any) { return 200, map[string]string{"status": "ok"} })
	answer("POST /api/fleet/devices", func(*http.Request) (int, any) {
		return 201, map[string]string{"id": "dev1", "api_key": "ngfw_dev_x"}
	})
	answer("GET /api/firewall/zones", func(*http.Request) (int, any) { return 200, zones })
	answer("PUT /api/firewall/zones/{id}", func(r *http.Request) (int, any) {
		given.Add(1)
		return 200, nil
	})
	answer("GET /api/fleet/devices/dev1/status", func(*http.Request) (int, any) {
		if !online.Load() || given.Load() != 3 {
			return 200, map[string]any{"status": "provisioning", "config": map[string]any{"state": "pending"}}
		}
		return 200, map[string]any{"status": "online", "config": map[string]any{"state": "synced"}}
	})
	answer("GET /api/traffic/logs", func(*http.Request) (int, any) {
		logs := []int{}
		if flow.Load() {
			logs = append(logs, 1)
		}
		return 200, map[string]any{"total": len(logs), "logs": logs}
	})
	srv := &http.Server{Addr: *listen, Handler: mux}
	context.AfterFunc(ctx, func() { srv.Close() })
	if err := srv.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil // the sleep is left to the supervisor
}

func agentDouble(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("agent", flag.ContinueOnError)
	config := f.String("config", "", "")
	server, ca, key := f.String("server", "", ""), f.String("ca-file", "", ""), f.String("api-key-file", "", "")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if _, err := os.ReadFile(*config); err != nil {
		return err
	}
	if args[0] == "configure" {
		text, err := os.ReadFile(*key)
		if err != nil || strings.TrimSpace(string(text)) != "ngfw_dev_x" || *server != "grpcs://198.18.0.2:9090" {
			return fmt.Errorf("not the contract's arguments: %v: %v", args, err)
		}
		_, err = os.ReadFile(*ca)
		return err
	}
	for _, sysctl := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(sysctl, []byte("1"), 0o644); err != nil {
			return err
		}
	}
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(`
		table ip double
		delete table ip double
		table ip double { chain c { type nat hook postrouting priority 100; oifname "wan" masquerade; }; }`)
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	conn, err := net.Dial("tcp", "198.18.0.2:9090")
	if err != nil {
		return err
	}
	fmt.Fprintln(conn, "online")
	fmt.Fprintln(conn, "flow")
	<-ctx.Done()
	return nil
}

func labDouble(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("lab", flag.ContinueOnError)
	name := f.String("name", "", "")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "serve":
		l, err := lab.Open(*name)
		if err != nil {
			return err
		}
		return server.New(server.Config{}, server.Deps{Lab: l, Log: slog.Default()}).Run(ctx)
	case "traffic":
		<-ctx.Done()
		return nil
	case "supervisor": // the tests' own: a run in a process that can be killed
		cfg := stack.DefaultConfig()
		if err := json.Unmarshal([]byte(os.Getenv("DOUBLE_CONFIG")), &cfg); err != nil {
			return err
		}
		s, err := stack.New(cfg, stack.Deps{Log: slog.Default()})
		if err != nil {
			return err
		}
		go func() { <-s.Ready(); fmt.Println("ready") }()
		return s.Run(ctx)
	}
	return fmt.Errorf("the double does not know %v", args)
}
