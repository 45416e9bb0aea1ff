package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sysctls of every host, written before it has interfaces: no duplicate address
// detection and no autoconfiguration, so that a lab is ready at once and its
// addresses are the ones it was given.
var hostSysctls = map[string]string{
	"net.ipv6.conf.all.disable_ipv6":     "0",
	"net.ipv6.conf.default.disable_ipv6": "0",
	"net.ipv6.conf.all.accept_dad":       "0",
	"net.ipv6.conf.default.accept_dad":   "0",
	"net.ipv6.conf.all.accept_ra":        "0",
	"net.ipv6.conf.default.accept_ra":    "0",
	"net.ipv4.conf.all.rp_filter":        "0",
	"net.ipv4.conf.default.rp_filter":    "0",
}

// The router refuses forged sources (RFC 3704, strict). Forwarding stays off:
// whoever filters there enables it once closed, see Config.Forward.
var routerSysctls = map[string]string{
	"net.ipv4.conf.all.rp_filter":        "1",
	"net.ipv4.conf.default.rp_filter":    "1",
	"net.ipv4.ip_forward":                "0",
	"net.ipv6.conf.all.forwarding":       "0",
	"net.ipv4.conf.all.send_redirects":   "0",
	"net.ipv4.conf.all.accept_redirects": "0",
}

var forwardSysctls = map[string]string{
	"net.ipv4.ip_forward":          "1",
	"net.ipv6.conf.all.forwarding": "1",
}

// writeSysctls writes sysctls of the calling thread's network namespace:
// /proc/sys/net shows that of whoever looks.
func writeSysctls(values map[string]string) error {
	for key, value := range values {
		path := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s=%s: %w", key, value, err)
		}
	}
	return nil
}
