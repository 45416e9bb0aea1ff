package liveframe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ngfw.sh/lab"
)

// Agent is a router with ngfw-agent, without a cloud, under the policy that
// NFTMasquerade writes in nft's words. fastPath is the agent's setting of that
// name.
func Agent(program, fastPath string) Case {
	return Case{
		Name: "ngfw-agent, fast path " + fastPath, Filters: true, Masquerades: true,
		Prepare: func(ctx context.Context, l *lab.Lab) (func(), error) { return runAgent(ctx, l, program, fastPath) },
		Packets: func(ctx context.Context, l *lab.Lab) (uint64, error) { return judged(ctx, l, program) },
	}
}

// judged asks the running agent for its count of packets.
func judged(ctx context.Context, l *lab.Lab, program string) (uint64, error) {
	out, err := exec.CommandContext(ctx, program, "status", "--config", filepath.Join(l.Dir(), "agent", "agent.yaml"), "-o", "json").Output()
	if err != nil {
		return 0, fmt.Errorf("ask the agent: %w", err)
	}
	var s struct {
		Counters struct {
			Packets uint64 `json:"packets"`
		} `json:"counters"`
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return 0, fmt.Errorf("ask the agent: %w", err)
	}
	return s.Counters.Packets, nil
}

type object = map[string]any

func agentPolicy() object {
	zones := []object{}
	for i, z := range lab.Zones {
		zones = append(zones, object{"id": i + 1, "name": z.Name, "interfaces": z.Ports, "masquerade": z.Masquerade, "mss_clamping": false})
	}
	rule := func(id int, name, from, to string, fields object) object {
		r := object{"id": id, "name": name, "enabled": true, "zone_from": from, "zone_to": to, "action": "drop"}
		for k, v := range fields {
			r[k] = v
		}
		return r
	}
	return object{
		"time_zone": "UTC", "zones": zones, "groups": []object{}, "nat": []object{},
		"rules": []object{
			rule(1, "networks", "any", "any", object{"source": "192.0.2.0/24,198.18.7.0/24"}),
			rule(2, "services", "any", "any", object{"protocol": "tcp", "port": "23,445"}),
			rule(3, "things", "IOT", "LAN", nil),
		},
		"policies": []object{
			{"from": "LAN", "to": "WAN", "action": "accept"}, {"from": "IOT", "to": "WAN", "action": "accept"},
			{"from": "LAN", "to": "LAN", "action": "accept"}, {"from": "LAN", "to": "SELF", "action": "accept"},
			{"from": "SELF", "to": "any", "action": "accept"},
		},
	}
}

// runAgent starts the agent and returns when the router forwards.
func runAgent(ctx context.Context, l *lab.Lab, program, fastPath string) (undo func(), err error) {
	program, err = filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.Dir(), "agent") // goes with the lab
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	policy, err := json.Marshal(agentPolicy())
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("state_dir: %q\nbpf_dir: %q\nmetrics_listen: \"off\"\nfast_path: %q\n", dir, l.BPFDir(), fastPath)
	for name, text := range map[string]string{"policy.json": string(policy), "agent.yaml": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "run", "--config", dir+"/agent.yaml", "--policy", dir+"/policy.json")
	cmd.Stdout, cmd.Stderr = &said, &said
	wait, err := l.Start(lab.RTR, cmd)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	undo = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		ping := exec.CommandContext(ctx, "ping", "-c", "1", "-W", "1", lab.IP4(lab.INET).String())
		if l.Run(lab.LAN1, ping) == nil {
			return undo, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%s ended: %w: %s", program, err, strings.TrimSpace(said.String()))
		case <-ctx.Done():
			undo()
			return nil, fmt.Errorf("the agent's router does not forward: %s", strings.TrimSpace(said.String()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}
