package liveframe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"ngfw.sh/lab"
)

// Agent is a router with ngfw-agent, without a cloud, under the policy that
// NFTMasquerade writes in nft's words. fastPath is the agent's setting of that
// name.
func Agent(program, fastPath string) Case {
	c := Case{
		Name: "ngfw-agent, fast path " + fastPath, Filters: true, Masquerades: true,
		Prepare: func(ctx context.Context, l *lab.Lab) (func(), error) {
			return runAgent(ctx, l, program, fmt.Sprintf("fast_path: %q\nflow: {max_flows: 262144}\n", fastPath), agentPolicy())
		},
		Packets: func(ctx context.Context, l *lab.Lab) (uint64, error) { return judged(ctx, l, program) },
	}
	if fastPath != "off" {
		c.Fast = func(ctx context.Context, l *lab.Lab) (uint64, error) {
			s, err := ask(ctx, l, program)
			return s.Counters.FastPath, err
		}
	}
	return c
}

// StartInspecting starts the agent in a lab's router, with further lines of settings and a
// section ids, and returns when the router forwards and inspects. Without a section it does not inspect.
func StartInspecting(ctx context.Context, l *lab.Lab, program, settings string, section any) (undo func(), err error) {
	if section == nil {
		return runAgent(ctx, l, program, settings, agentPolicy())
	}
	return startInspecting(ctx, l, program, settings, section, func(mode string) bool { return mode != "off" })
}

func startInspecting(ctx context.Context, l *lab.Lab, program, settings string, section any, is func(mode string) bool) (undo func(), err error) {
	if err := os.MkdirAll(filepath.Join(l.Dir(), "agent"), 0o700); err != nil {
		return nil, err
	}
	if err := writeSection(l, section); err != nil {
		return nil, err
	}
	return startAgent(ctx, l, program, settings, agentPolicy(), func() error {
		s, err := ask(ctx, l, program)
		if err != nil {
			return err
		}
		if !is(s.Inspection.Mode) {
			return fmt.Errorf("inspection is %s", s.Inspection.Mode)
		}
		return forwards(ctx, l)
	}, "--ids", agentFile(l, sectionFile))
}

const sectionFile = "ids.section.json"

func writeSection(l *lab.Lab, section any) error {
	text, err := json.Marshal(section)
	if err != nil {
		return err
	}
	return os.WriteFile(agentFile(l, sectionFile), text, 0o600)
}

// Inspection asks the agent in a lab's router what its matcher does, and how much processor time
// the agent has taken so far.
func Inspection(ctx context.Context, l *lab.Lab, program string) (InspectionStatus, time.Duration, error) {
	s, err := ask(ctx, l, program)
	if err != nil {
		return s.Inspection, 0, err
	}
	cpu, err := processorTime(s.PID)
	return s.Inspection, cpu, err
}

// processorTime is that of a process: fields 14 and 15 of proc_pid_stat(5), in hundredths
// of a second.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the command may hold anything
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is broken", pid)
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// InspectionStatus is the part of the agent's status that is about its matcher.
type InspectionStatus struct {
	Mode           string `json:"mode"`
	Rules          int    `json:"rules"`
	InspectedBytes uint64 `json:"inspected_bytes"`
	FlowsBypassed  uint64 `json:"flows_bypassed"`
	Queues         []struct {
		Packets       uint64 `json:"packets"`
		Bytes         uint64 `json:"bytes"`
		Dropped       uint64 `json:"dropped"`
		Waiting       uint64 `json:"waiting"`
		Missed        uint64 `json:"missed"`
		QueueDropped  uint64 `json:"queue_dropped"`
		SocketDropped uint64 `json:"socket_dropped"`
	} `json:"queues"`
}

// judged asks the running agent for its count of packets.
func judged(ctx context.Context, l *lab.Lab, program string) (uint64, error) {
	s, err := ask(ctx, l, program)
	return s.Counters.Packets, err
}

// agentStatus is the part of the agent's status that measurements look at.
type agentStatus struct {
	PolicyRevision int64 `json:"policy_revision"`
	Counters       struct {
		Packets  uint64            `json:"packets"`
		FastPath uint64            `json:"fastpath_packets"`
		Drops    map[string]uint64 `json:"drops"`
	} `json:"counters"`
	DropLists []struct {
		Name     string  `json:"name"`
		Packets  uint64  `json:"packets"`
		LoadedIn float64 `json:"loaded_in"`
	} `json:"drop_lists"`
	Degraded   []string         `json:"degraded"`
	PID        int              `json:"pid"`
	Inspection InspectionStatus `json:"inspection"`
}

func ask(ctx context.Context, l *lab.Lab, program string) (s agentStatus, err error) {
	cmd := exec.CommandContext(ctx, program, "status", "--config", filepath.Join(l.Dir(), "agent", "agent.yaml"), "-o", "json")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("ask the agent: %w: %s", err, &said)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("ask the agent: %w", err)
	}
	return s, nil
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
func runAgent(ctx context.Context, l *lab.Lab, program, more string, rules object) (undo func(), err error) {
	return startAgent(ctx, l, program, more, rules, func() error {
		return forwards(ctx, l)
	})
}

func forwards(ctx context.Context, l *lab.Lab) error {
	ping := exec.CommandContext(ctx, "ping", "-c", "1", "-W", "1", lab.IP4(lab.INET).String())
	if err := l.Run(lab.LAN1, ping); err != nil {
		return fmt.Errorf("the router does not forward: %w", err)
	}
	return nil
}

// startAgent starts it with more settings and returns when it is ready.
func startAgent(ctx context.Context, l *lab.Lab, program, more string, rules object, ready func() error, args ...string) (undo func(), err error) {
	program, err = filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.Dir(), "agent") // goes with the lab
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	policy, err := json.Marshal(rules)
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("state_dir: %q\nbpf_dir: %q\nmetrics_listen: \"off\"\n%s", dir, l.BPFDir(), more)
	for name, text := range map[string]string{"policy.json": string(policy), "agent.yaml": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	var said saying
	cmd := exec.Command(program, append([]string{"run", "--config", dir + "/agent.yaml", "--policy", dir + "/policy.json"}, args...)...)
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
	if err := waitFor(ctx, 60*time.Second, ended, &said, ready); err != nil {
		cmd.Process.Kill()
		return nil, err
	}
	return undo, nil
}

// saying is what a process has said so far.
type saying struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *saying) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *saying) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
