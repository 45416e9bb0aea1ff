package firewall

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/policy"
)

type kernel struct{}

func (kernel) Apply(*policy.Image) error { return nil }

func TestGuard(t *testing.T) {
	table, written := "", 0
	var broken error
	s := New(Config{StateDir: t.TempDir()}, Deps{
		Log: slog.New(slog.DiscardHandler), Kernel: kernel{},
		Addresses: func() ([]netip.Addr, error) { return nil, nil },
		Netfilter: func(netfilter.Ruleset) error {
			if broken == nil {
				written++
				table = "ours"
			}
			return broken
		},
		Loaded: func() (string, error) { return table, nil },
	})
	s.Guard()
	if written != 0 {
		t.Fatal("wrote the table before there was a policy")
	}
	if err := s.Apply(context.Background(), 1, []byte(`{"zones":[{"id":1,"name":"LAN","interfaces":["lan"]}]}`)); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		Written  int
		Restored uint64
		Degraded []string
	}
	for _, step := range []struct {
		name   string
		table  string
		broken error
		want   outcome
	}{
		{"as it was", "ours", nil, outcome{1, 0, nil}},
		{"flushed", "", nil, outcome{2, 1, nil}},
		{"edited", "ours and a door", nil, outcome{3, 2, nil}},
		{"flushed for good", "", errors.New("no memory"), outcome{3, 2, []string{"nftables: no memory"}}},
		{"and possible again", "", nil, outcome{4, 3, nil}},
	} {
		table, broken = step.table, step.broken
		s.Guard()
		if d := cmp.Diff(step.want, outcome{written, s.Restored(), s.Degraded()}); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, d)
		}
	}
}
