package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"ngfw.sh/cloud"
	"ngfw.sh/cloud/identity"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestMain(m *testing.M) {
	// A server starts its own program as the engine's process.
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		main()
	}
	testscript.Main(m, map[string]func(){"ngfw-cloud": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"keep":     keep,
			"accepted": accepted,
			"login":    login,
			"serve":    serve,
		},
	})
}

// exits CODE ARGS… runs ngfw-cloud and demands the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits code args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("ngfw-cloud", args[1:]...)
	got := 0
	if err != nil {
		e, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// keep NAME puts the last standard output into a variable.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// open opens the installation that a script's commands made.
func open(ts *testscript.TestScript, dir string) *cloud.Core {
	cfg := cloud.DefaultConfig()
	cfg.DataDir = ts.MkAbs(dir)
	core, err := cloud.Open(context.Background(), cfg, slog.New(slog.DiscardHandler), nil)
	ts.Check(err)
	ts.Check(core.Account.Load(context.Background()))
	return core
}

// accepted DIR TOKEN [SCOPE…] demands that the token is good for exactly these.
func accepted(ts *testscript.TestScript, neg bool, args []string) {
	core := open(ts, args[0])
	defer core.Close()
	c, err := core.Account.Authenticate(context.Background(), args[1])
	switch {
	case neg && err == nil:
		ts.Fatalf("accepted as %+v", c)
	case neg:
		ts.Logf("%v", err)
		return
	}
	ts.Check(err)
	for _, s := range []identity.Scope{identity.Read, identity.Write, identity.Admin} {
		want := false
		for _, a := range args[2:] {
			want = want || a == string(s)
		}
		if c.Allows(s) != want {
			ts.Fatalf("scope %s is %v", s, !want)
		}
	}
}

// login DIR EMAIL PASSWORD demands that the credentials open a session.
func login(ts *testscript.TestScript, neg bool, args []string) {
	core := open(ts, args[0])
	defer core.Close()
	_, err := core.Account.Login(context.Background(), &ngfwv1.LoginRequest{Email: args[1], Password: args[2]})
	if neg != (err != nil) {
		ts.Fatalf("%v", err)
	}
}

// serve DIR runs the service until the script ends.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	cfg := cloud.DefaultConfig()
	cfg.DataDir = ts.MkAbs(args[0])
	cfg.Listen, cfg.GRPCListen = freeAddress(ts), freeAddress(ts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- cloud.Serve(ctx, cfg, cloud.Deps{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	}()
	for up := false; !up; {
		select {
		case err := <-done:
			cancel()
			ts.Fatalf("serve: %v", err)
		case <-time.After(50 * time.Millisecond): // between two looks
		}
		res, err := http.Get("http://" + cfg.Listen + "/.well-known/jwks.json")
		if err == nil {
			res.Body.Close()
			up = res.StatusCode == http.StatusOK
		}
	}
	ts.Defer(func() {
		cancel()
		if err := <-done; err != nil {
			ts.Fatalf("serve: %v", err)
		}
	})
}

func freeAddress(ts *testscript.TestScript) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	return l.Addr().String()
}
