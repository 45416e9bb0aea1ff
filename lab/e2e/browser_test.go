package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// browserLimit is for a machine that is busy with other things: alone it takes less
// than a minute.
const browserLimit = 10 * time.Minute

// TestDashboard drives the dashboard in a real browser against the lab's real
// traffic: web/test holds what it does. Screenshots are kept in
// NGFW_SCREENSHOTS, by default .run/screenshots.
func TestDashboard(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	needBrowser(t, root)
	r := start(t)
	shots := os.Getenv("NGFW_SCREENSHOTS")
	if shots == "" {
		shots = filepath.Join(root, ".run", "screenshots")
	}
	rules := filepath.Join(t.TempDir(), "lab.rules")
	evil := `alert http any any -> any any (msg:"LAB evil page"; flow:established,to_server; http.uri; content:"/evil"; classtype:trojan-activity; sid:1000001; rev:1;)`
	if err := os.WriteFile(rules, []byte(evil+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "test/main.mjs")
	cmd.Dir = filepath.Join(root, "web")
	cmd.Env = append(os.Environ(),
		"NGFW_URL="+r.env["NGFW_URL"], "NGFW_BOOTSTRAP="+filepath.Join(r.dir, "cloud", "bootstrap.json"), "NGFW_SCREENSHOTS="+shots,
		"NGFW_LAB="+filepath.Join(r.bin, "ngfw-lab"), "NGFW_LAB_NAME="+r.name, "NGFW_LAB_HTTP="+r.env["NGFW_LAB_HTTP"],
		"NGFW_LAB_LAN1_IP="+r.env["NGFW_LAB_LAN1_IP"], "NGFW_LAB_LAN2_IP="+r.env["NGFW_LAB_LAN2_IP"], "NGFW_LAB_RULES="+rules, owner+"="+r.name)
	// The browser's processes are its children: all end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%v; the screenshots are in %s", err, shots)
	}
	t.Logf("%s", &said)
}

// needBrowser skips the test where there is no browser to run it with.
func needBrowser(t *testing.T, root string) {
	t.Helper()
	needRoot(t)
	for _, program := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(program); err != nil {
			notRun(t, program+" is not installed: make deps")
		}
	}
	if _, err := os.Stat(filepath.Join(root, "web", "node_modules", "playwright-core")); err != nil {
		notRun(t, "web/node_modules is not there: make deps")
	}
}
