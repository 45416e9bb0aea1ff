package agent_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// traced is what ngfw-agent trace tells of a packet, as far as tests look.
type traced struct {
	Packet struct {
		In, Out, Src, Dst, Protocol string
		SrcPort                     uint16 `json:"sport"`
		DstPort                     uint16 `json:"dport"`
		VLAN                        uint16
	}
	Leaves *struct {
		Out, Src, Dst string
	}
	Direction, Action, Reason, Note string
	RuleID                          *int64 `json:"rule_id"`
	Programs                        []tracedProgram
	End                             *struct{ Packets, Skipped, Lost int }
}

type tracedProgram struct {
	Program string
	Stages  []struct{ Stage, Result, Reason string }
}

// steps are program/stage=result, in order.
func (p traced) steps() (steps []string) {
	for _, program := range p.Programs {
		for _, s := range program.Stages {
			steps = append(steps, program.Program+"/"+s.Stage+"="+s.Result)
		}
	}
	return steps
}

func (p traced) has(steps ...string) error {
	have, at := p.steps(), 0
	for _, s := range have {
		if at < len(steps) && s == steps[at] {
			at++
		}
	}
	if at < len(steps) {
		return fmt.Errorf("no step %s in %q", steps[at], have)
	}
	return nil
}

// trace begins one; what it returns waits for a packet of which want says nil.
type tracing struct {
	r     *router
	lines chan traced
	seen  []traced
	cmd   *exec.Cmd
	ended chan error
}

func (r *router) trace(args ...string) *tracing {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"trace", "--config", r.settings, "--json"}, args...)...)
	cmd.Env = append(os.Environ(), beAgent+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	said, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cmd.Process.Kill() })
	t := &tracing{r: r, cmd: cmd, lines: make(chan traced, 10000), ended: make(chan error, 1)}
	first, err := bufio.NewReader(said).ReadString('\n')
	if err != nil || !strings.HasPrefix(first, "tracing") {
		r.t.Fatalf("the trace does not begin: %v %s", err, first)
	}
	go func() {
		defer close(t.lines)
		d := json.NewDecoder(out)
		for {
			var p traced
			if err := d.Decode(&p); err != nil {
				if !errors.Is(err, io.EOF) {
					r.t.Errorf("read the trace: %v", err)
				}
				t.ended <- cmd.Wait()
				return
			}
			t.lines <- p
		}
	}()
	return t
}

// await waits for a packet that fits; the last one that did not says why.
func (t *tracing) await(what string, fits func(traced) bool, steps ...string) traced {
	t.r.t.Helper()
	limit := time.After(20 * time.Second)
	var last error
	for {
		select {
		case p, open := <-t.lines:
			if !open {
				t.r.t.Fatalf("%s: the trace ended: %v; it saw %+v", what, last, t.seen)
			}
			t.seen = append(t.seen, p)
			if len(t.seen) > 4 {
				t.seen = t.seen[1:]
			}
			if p.End != nil || !fits(p) {
				continue
			}
			if last = p.has(steps...); last == nil {
				return p
			}
		case <-limit:
			t.r.t.Fatalf("%s: no such packet within 20 s: %v; it saw %+v", what, last, t.seen)
		}
	}
}

// end lets the trace end by its duration or count, or as stop says.
func (t *tracing) end() (sums struct{ Packets, Skipped, Lost int }) {
	t.r.t.Helper()
	for p := range t.lines {
		t.seen = append(t.seen, p)
		if p.End != nil {
			sums = *p.End
		}
	}
	if err := <-t.ended; err != nil {
		t.r.t.Errorf("trace: %v", err)
	}
	return sums
}

func TestTraceTellsEachStep(t *testing.T) {
	for _, form := range []string{"auto", "xdp"} {
		t.Run(form, func(t *testing.T) {
			r := fastRouter(t, form)
			r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
				`{"id":3,"name":"web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`,
				`{"id":9,"name":"told so","zone_from":"IOT","zone_to":"WAN","protocol":"tcp","port":"80","action":"reject"}`)
			r.startPolicy()
			asked := func(action string, reply bool) func(traced) bool {
				return func(p traced) bool {
					return p.Action == action && (p.Direction == "reply") == reply
				}
			}

			web := r.trace("--host", "10.77.1.10", "--protocol", "tcp", "--port", "80", "--duration", "30s")
			r.passes("lan1", curl(web4)...)
			// Judged as the first of its flow, translated on its way out.
			first := web.await("the first packet", asked("accept", false),
				"tc_ingress/headers=pass", "tc_ingress/zone_in=pass", "tc_ingress/state=pass", "tc_ingress/zone_out=pass",
				"tc_ingress/system=pass", "tc_ingress/rules=accept", "tc_egress/egress=pass", "tc_egress/nat=translated")
			if first.RuleID == nil || *first.RuleID != 3 || first.Reason != "rule" || first.Packet.In != "lan1" || first.Packet.Out != "wan" ||
				first.Leaves == nil || first.Leaves.Src != "203.0.113.2" || first.Leaves.Out != "wan" {
				t.Errorf("the first packet: %+v", first)
			}
			// Its answer came to the router's address, and is found by its flow's.
			answer := web.await("an answer", asked("accept", true), "tc_ingress/state=pass", "tc_ingress/rules=accept", "tc_egress/egress=pass")
			if answer.Packet.Src != inet4 || answer.Packet.Dst != "203.0.113.2" || answer.Packet.In != "wan" || answer.Leaves == nil || answer.Leaves.Dst != "10.77.1.10" {
				t.Errorf("an answer: %+v", answer)
			}
			if web.cmd.Process.Signal(os.Interrupt) != nil {
				t.Error("cannot interrupt the trace")
			}
			web.end()

			// A steady stream: the fast path carries it, but for a packet a second.
			stream := r.trace("--host", "10.77.1.10", "--protocol", "udp", "--port", "5201")
			r.passes("lan1", "iperf3", "-u", "-b", "1M", "-l", "1000", "-c", inet4, "-t", "3")
			program := map[string]string{"auto": "tc_ingress", "xdp": "xdp"}[form]
			fast := stream.await("a packet of the fast path", asked("accept", false), program+"/fast_path=redirect", program+"/policy=accept")
			if fast.Packet.In != "lan1" || fast.Packet.Out != "wan" || fast.Leaves == nil || fast.Leaves.Src != "203.0.113.2" || fast.Leaves.Out != "wan" || fast.Reason != "policy" {
				t.Errorf("a packet of the fast path: %+v", fast)
			}
			stream.await("the packet of the second", func(p traced) bool {
				return slices.ContainsFunc(p.Programs, func(of tracedProgram) bool {
					return of.Program == program && strings.Contains(of.Stages[0].Reason, "packet of the second")
				})
			}, program+"/fast_path=pass", "tc_ingress/state=pass", "tc_egress/nat=translated")
			if stream.cmd.Process.Signal(os.Interrupt) != nil {
				t.Error("cannot interrupt the trace")
			}
			stream.end()

			// What is refused; simulation says the same of it, word for word.
			refused := r.trace("--src", "10.77.2.0/24", "--dport", "80", "--count", "1")
			r.blocked("lan2", curl(web4)...)
			drop := refused.await("a refused packet", asked("drop", false), "tc_ingress/zone_out=pass", "tc_ingress/system=pass", "tc_ingress/rules=drop")
			if drop.RuleID == nil || *drop.RuleID != 7 || drop.Leaves != nil {
				t.Errorf("a refused packet: %+v", drop)
			}
			said := r.simulate("--in", "lan2", "--out", "wan", "--src", "10.77.2.10", "--dst", inet4, "--protocol", "tcp", "--dport", "80")
			for _, s := range drop.Programs[len(drop.Programs)-1].Stages {
				if s.Stage != "fast_path" && !strings.Contains(said, s.Reason) {
					t.Errorf("simulation does not say %q of %s:\n%s", s.Reason, s.Stage, said)
				}
			}
			if sums := refused.end(); sums.Packets != 1 {
				t.Errorf("asked for one packet: %+v", sums)
			}

			rejected := r.trace("--interface", "iot1", "--one-way", "--protocol", "tcp", "--count", "1")
			r.blocked("iot1", curl(web4)...)
			rejected.await("a rejected packet", asked("reject", false), "tc_ingress/rules=reject")
			rejected.end()

			// The router's own, which has no ingress.
			own := r.trace("--protocol", "icmp", "--host", inet4, "--count", "2")
			r.passes("rtr", ping(inet4)...)
			own.await("the router's own packet", asked("accept", false), "tc_egress/headers=pass", "tc_egress/policy=accept")
			own.end()
		})
	}
}

// TestTraceIsBounded: by its rate, its duration, and by being alone.
func TestTraceIsBounded(t *testing.T) {
	r := fastRouter(t, "auto")
	r.rules()
	r.startPolicy()
	few := r.trace("--rate", "10", "--protocol", "udp", "--duration", "3s")
	if _, err := r.tryTrace("--count", "1"); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("two traces at a time: %v", err)
	}
	r.passes("lan1", "iperf3", "-u", "-b", "20M", "-l", "200", "-c", inet4, "-t", "1")
	sums := few.end()
	// A burst of a second's, and three seconds.
	if sums.Packets > 60 || sums.Skipped == 0 {
		t.Errorf("%+v at 10 packets a second", sums)
	}
	// What it cannot be asked for is refused by name.
	for _, args := range [][]string{{"--duration", "2h"}, {"--host", "nobody"}, {"--interface", "nosuch"}, {"--protocol", "ttp"}, {"--count", "-1"}} {
		if out, err := r.tryTrace(args...); err == nil {
			t.Errorf("%q was taken: %s", args, out)
		}
	}
}

func (r *router) tryTrace(args ...string) (string, error) {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"trace", "--config", r.settings}, args...)...)
	cmd.Env = append(os.Environ(), beAgent+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

// TestTraceEndsWithoutItsAgent: the kernel ends a trace whose agent was killed;
// its successor begins with none, and packets pass all the while.
func TestTraceEndsWithoutItsAgent(t *testing.T) {
	r := fastRouter(t, "auto")
	r.rules()
	r.startPolicy()
	left := r.trace("--duration", "30s")
	r.kill()
	for range left.lines { // whatever came before
	}
	if err := <-left.ended; err == nil {
		t.Error("a trace whose agent was killed ended as if all were well")
	}
	r.passes("lan1", curl(web4)...)
	r.start()
	again := r.trace("--host", "10.77.1.10", "--dport", "443", "--count", "1")
	r.passes("lan1", curl(tls4)...)
	again.await("after a restart", func(p traced) bool { return p.Packet.DstPort == 443 })
	again.end()
}
