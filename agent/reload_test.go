package agent_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A policy that is refused when it is read again changes nothing, and status says so
// until one is taken.
func TestRefusedPolicyFileShows(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	said := func() string {
		all := r.mustStatus().Degraded
		if i := slices.IndexFunc(all, func(s string) bool { return strings.HasPrefix(s, "policy_file: ") }); i >= 0 {
			return all[i]
		}
		return ""
	}
	before := r.mustStatus().PolicyRevision
	r.rules(`{"id":1,"name":"wrong","zone_from":"LAN","zone_to":"WAN","action":"pass","source":"nowhere"}`)
	if err := r.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error {
		if s := said(); !strings.Contains(s, "rules[0].") {
			return fmt.Errorf("it says %q", s)
		}
		return nil
	})
	if now := r.mustStatus().PolicyRevision; now != before {
		t.Errorf("revision %d, want still %d", now, before)
	}
	r.rules()
	r.reload()
	r.eventually(func() error {
		if s := said(); s != "" {
			return errors.New("still: " + s)
		}
		return nil
	})
}
