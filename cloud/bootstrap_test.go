package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"ngfw.sh/cloud/account"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

var quiet = slog.New(slog.DiscardHandler)

func testConfig(t testing.TB) Config {
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Listen, cfg.GRPCListen = "127.0.0.1:0", "127.0.0.1:0"
	return cfg
}

// start opens the installation as a process would; stop is its end.
func start(t *testing.T, cfg Config) (*Core, func()) {
	t.Helper()
	core, err := Open(t.Context(), cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Account.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return core, func() { core.Close() }
}

func credentials(t *testing.T, cfg Config) bootstrapDocument {
	t.Helper()
	path := cfg.path(bootstrapFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var d bootstrapDocument
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// letIn demands that the file's credentials open the door.
func letIn(t *testing.T, core *Core, d bootstrapDocument) {
	t.Helper()
	if _, err := core.Account.Login(t.Context(), &ngfwv1.LoginRequest{Email: d.Email, Password: d.Password}); err != nil {
		t.Errorf("password: %v", err)
	}
	c, err := core.Account.Authenticate(t.Context(), d.APIToken)
	if err != nil || c.OrgID != d.OrganizationID || c.Plan != "business_plus" || !c.Allows("admin") {
		t.Errorf("token: %+v, %v", c, err)
	}
}

func TestBootstrapOnce(t *testing.T) {
	cfg := testConfig(t)
	core, stop := start(t, cfg)
	if err := bootstrap(t.Context(), cfg, core.Account, quiet); err != nil {
		t.Fatal(err)
	}
	first := credentials(t, cfg)
	if first.Email != "owner@ngfw.local" || len(first.Password) < 20 {
		t.Errorf("%+v", first)
	}
	letIn(t, core, first)
	stop()

	// Later starts change nothing, with the file and without it.
	for _, remove := range []bool{false, true} {
		core, stop := start(t, cfg)
		if remove {
			if err := os.Remove(cfg.path(bootstrapFile)); err != nil {
				t.Fatal(err)
			}
		}
		if err := bootstrap(t.Context(), cfg, core.Account, quiet); err != nil {
			t.Fatal(err)
		}
		letIn(t, core, first)
		if _, err := os.Stat(cfg.path(bootstrapFile)); remove != errors.Is(err, os.ErrNotExist) {
			t.Errorf("removed %v, now %v", remove, err)
		}
		stop()
	}
}

// crashing stops the bootstrap at the database.
type crashing struct {
	owners
	after bool   // the owner was committed
	file  string // has to be there by then
}

var errCrash = errors.New("crash")

func (c crashing) CreateFirstOwner(ctx context.Context, o account.FirstOwner) (bool, error) {
	if _, err := os.Stat(c.file); err != nil {
		return false, err
	}
	if c.after {
		if _, err := c.owners.CreateFirstOwner(ctx, o); err != nil {
			return false, err
		}
	}
	return false, errCrash
}

func TestNoCrashLocksOut(t *testing.T) {
	for _, tc := range []struct {
		name  string
		crash func(t *testing.T, cfg Config, core *Core)
	}{
		{"before anything", func(*testing.T, Config, *Core) {}},
		{"in the middle of the file", func(t *testing.T, cfg Config, _ *Core) {
			// What an interrupted atomic write leaves: a temporary file beside it.
			if err := os.WriteFile(cfg.path("."+bootstrapFile+"123"), []byte(`{"email":"own`), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"after the file, before the database", func(t *testing.T, cfg Config, core *Core) {
			if err := bootstrap(t.Context(), cfg, crashing{file: cfg.path(bootstrapFile), owners: core.Account}, quiet); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
		}},
		{"after the database", func(t *testing.T, cfg Config, core *Core) {
			if err := bootstrap(t.Context(), cfg, crashing{file: cfg.path(bootstrapFile), owners: core.Account, after: true}, quiet); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
		}},
		{"after the file, which the operator then removed", func(t *testing.T, cfg Config, core *Core) {
			if err := bootstrap(t.Context(), cfg, crashing{file: cfg.path(bootstrapFile), owners: core.Account}, quiet); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			if err := os.Remove(cfg.path(bootstrapFile)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig(t)
			core, stop := start(t, cfg)
			tc.crash(t, cfg, core)
			stop()
			core, stop = start(t, cfg)
			defer stop()
			if err := bootstrap(t.Context(), cfg, core.Account, quiet); err != nil {
				t.Fatal(err)
			}
			letIn(t, core, credentials(t, cfg))
			if orgs, err := core.Store.Organizations(t.Context()); err != nil || len(orgs) != 1 {
				t.Errorf("%d organisations, %v", len(orgs), err)
			}
		})
	}
}

func TestForeignBootstrapFileIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "not JSON": "x", "no credentials": "{}", "half": `{"email":"owner@ngfw.local","password":"0123456789"}`,
		"weak": `{"email":"owner@ngfw.local","password":"1","api_token":"ngfw_pat_` + strings.Repeat("00", 32) + `","organization_id":"org_1"}`,
		"more": `{"email":"owner@ngfw.local","password":"0123456789","api_token":"ngfw_pat_` + strings.Repeat("00", 32) + `","organization_id":"org_1","x":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			if err := os.WriteFile(cfg.path(bootstrapFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			core, stop := start(t, cfg)
			defer stop()
			if err := bootstrap(t.Context(), cfg, core.Account, quiet); err == nil || !strings.Contains(err.Error(), "remove it") {
				t.Error(err)
			}
			if has, err := core.Account.HasUsers(t.Context()); has || err != nil {
				t.Error("an owner was made", err)
			}
		})
	}
}

func TestUsersMadeBeforehandNeedNoBootstrap(t *testing.T) {
	cfg := testConfig(t)
	core, stop := start(t, cfg)
	defer stop()
	if _, err := core.Account.CreateUser(t.Context(), account.NewUser{Email: "me@example.org", Password: "correct horse", Organization: "Mine"}); err != nil {
		t.Fatal(err)
	}
	if err := bootstrap(t.Context(), cfg, core.Account, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.path(bootstrapFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("an owner beside the operator's own", err)
	}
}
