package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// shaped is a traffic class with what has passed its queues.
type shaped struct {
	ID    int64
	Stats struct{ Packets, Bytes, Dropped, Backlog int64 }
}

// trees lists the HTB classes on the router, by rate and ceiling in Mbit/s.
func (r *run) trees() (out []string, err error) {
	err = r.lab.In(lab.RTR, func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			classes, err := netlink.ClassList(l, netlink.HANDLE_NONE)
			if err != nil {
				return err
			}
			for _, c := range classes {
				if htb, ok := c.(*netlink.HtbClass); ok {
					out = append(out, fmt.Sprintf("%.4g/%.4g", float64(htb.Rate)*8/1e6, float64(htb.Ceil)*8/1e6))
				}
			}
		}
		return nil
	})
	return out, err
}

// TestShaping shares the uplink by REST: the kernel's trees follow, traffic is as slow as
// its class, and what has passed is counted.
func TestShaping(t *testing.T) {
	r := start(t)
	api := r.api
	if out, err := r.trees(); err != nil || len(out) != 0 {
		t.Fatalf("before anything is asked for: %v, %v", out, err)
	}
	config := map[string]any{"enabled": true, "upload_mbps": 20, "download_mbps": 100}
	api.call(t, http.StatusOK, "PUT", "/api/qos/config", config, nil)
	var web shaped
	api.call(t, http.StatusCreated, "POST", "/api/qos/classes", map[string]any{
		"name": "web", "priority": 1, "guaranteed_mbps": 5, "max_mbps": 10, "ports": []int{80}}, &web)
	// A kernel may lack the scheduler of a class's queue, and say so; it shapes all the same.
	inForce := func() error {
		a, err := api.try(t, "GET", "/api/fleet/devices/"+r.env["NGFW_DEVICE_ID"]+"/status", nil, nil)
		if err != nil {
			return err
		}
		var s struct {
			Config struct {
				Wanted, Applied int64
				State           string
				Error           struct{ Section string }
			}
		}
		if err := json.Unmarshal(a.body, &s); err != nil {
			return err
		}
		if s.Config.State != "synced" && (s.Config.State != "degraded" || s.Config.Error.Section != "qos") {
			return fmt.Errorf("%s", a.body)
		}
		return nil
	}
	labtest.Eventually(t, 2*patience, inForce)
	labtest.Eventually(t, patience, func() error {
		out, err := r.trees()
		if err == nil && len(slices.DeleteFunc(slices.Clone(out), func(s string) bool { return s != "5/10" })) != 2 {
			err = fmt.Errorf("%v: want the class 5/10 in both directions", out)
		}
		return err
	})

	const size = 3_000_000
	began := time.Now()
	r.must(lab.LAN1, "curl", "--silent", "--show-error", "--fail", "--max-time", "50", "--output", "/dev/null", r.env["NGFW_LAB_HTTP"]+fmt.Sprint("bytes/", size))
	if took := time.Since(began); took < time.Second { // 2.4 s at 10 Mbit/s
		t.Errorf("%d bytes took %v: nothing is shaped", size, took)
	}
	labtest.Eventually(t, patience, func() error {
		var list []shaped
		api.get(t, "/api/qos/classes", &list)
		if len(list) != 1 || list[0].Stats.Bytes < size || list[0].Stats.Packets < size/1_000_000 {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})

	config["enabled"] = false
	api.call(t, http.StatusOK, "PUT", "/api/qos/config", config, nil)
	api.awaitSynced(t)
	labtest.Eventually(t, patience, func() error {
		out, err := r.trees()
		if err == nil && len(out) > 0 {
			err = errors.New("shaping is off, and there are trees")
		}
		return err
	})
}
