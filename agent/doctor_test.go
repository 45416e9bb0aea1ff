package agent_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ngfw.sh/lab/labtest"
)

// What doctor says of this kernel is what tools meet in it: a part is there, or it is
// said what is lost and which module has it.
func TestDoctorTellsOfThisKernel(t *testing.T) {
	l := labtest.New(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "doctor", "--config", filepath.Join(t.TempDir(), "agent.yaml"), "-o", "json")
	cmd.Env = append(os.Environ(), beAgent+"=1")
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	ran := l.Lab.Run("rtr", cmd)
	var answer struct {
		Outcome string
		Checks  []struct{ Check, Outcome, Detail, Lost, Remedy string }
	}
	if err := json.Unmarshal([]byte(out.String()), &answer); err != nil {
		t.Fatalf("%v, %v: %s %s", ran, err, &out, &said)
	}
	tools := map[string]string{ // each in a host of its own, so that none is in another's way
		"sch_htb": "tc qdisc replace dev eth0 root htb", "sch_fq_codel": "tc qdisc replace dev eth0 root fq_codel", "sch_cake": "tc qdisc replace dev eth0 root cake",
		"sch_clsact": "tc qdisc replace dev eth0 clsact", "ifb": "ip link add probe0 type ifb", "WireGuard": "ip link add probe1 type wireguard",
		"VLAN devices": "ip link add link eth0 name probe2 type vlan id 7", "nftables table": "nft add table inet probe",
	}
	for _, c := range answer.Checks {
		if (c.Outcome == "ok") != (c.Remedy == "") {
			t.Errorf("%+v: what is not ok has a remedy, what is ok has none", c)
		}
		// Where this test runs, the agent does; bpffs and clock are the machine's matter.
		if c.Outcome == "fail" && c.Check != "bpffs" && c.Check != "clock" {
			t.Errorf("%+v", c)
		}
		tool, asked := tools[c.Check]
		if !asked {
			continue
		}
		delete(tools, c.Check)
		_, failed := l.TryExec("lan2", strings.Fields(tool)...)
		switch {
		case failed == nil && c.Outcome != "ok":
			t.Errorf("%+v: but %s works", c, tool)
		case failed != nil && (c.Outcome != "warn" || !strings.HasPrefix(c.Detail, "missing") || c.Lost == "" || !strings.Contains(c.Remedy, "modprobe")):
			t.Errorf("%+v: %s: %v", c, tool, failed)
		}
		t.Logf("%s: %s", c.Check, c.Detail)
	}
	if (answer.Outcome == "fail") != (ran != nil) {
		t.Errorf("%s, and the command ended with %v", answer.Outcome, ran)
	}
	if len(tools) > 0 {
		t.Errorf("not told of: %v", tools)
	}
}
