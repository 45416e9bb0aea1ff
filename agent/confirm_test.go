package agent_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// cloud is a cloud of the router's own machine: it takes whoever calls, and answers
// pings unless it is mute.
type cloud struct {
	ngfwv1.UnimplementedLinkServiceServer
	mute atomic.Bool

	mu     sync.Mutex
	stream ngfwv1.LinkService_ConnectServer
	said   []string // outcomes of configurations
}

func (c *cloud) Connect(stream ngfwv1.LinkService_ConnectServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		c.mu.Lock()
		reply := &ngfwv1.CloudMessage{Id: m.Id}
		switch p := m.Payload.(type) {
		case *ngfwv1.AgentMessage_Auth:
			reply.Payload = &ngfwv1.CloudMessage_AuthOk{AuthOk: &ngfwv1.AuthOk{Success: true, DeviceId: "dev"}}
			c.stream = stream
		case *ngfwv1.AgentMessage_SpoolState:
			reply.Payload = &ngfwv1.CloudMessage_SpoolPosition{SpoolPosition: &ngfwv1.SpoolPosition{WindowBatches: 4, WindowBytes: 1 << 20}}
		case *ngfwv1.AgentMessage_Ping:
			if c.mute.Load() {
				reply = nil
				break
			}
			reply.Payload = &ngfwv1.CloudMessage_Pong{Pong: &ngfwv1.Pong{Nonce: p.Ping.Nonce}}
		case *ngfwv1.AgentMessage_ConfigAck:
			c.said = append(c.said, fmt.Sprintf("%d applied", p.ConfigAck.Version))
			reply = nil
		case *ngfwv1.AgentMessage_ConfigFail:
			c.said = append(c.said, fmt.Sprintf("%d failed: %s", p.ConfigFail.Version, p.ConfigFail.Error))
			reply = nil
		default:
			reply = nil
		}
		if reply != nil {
			err = stream.Send(reply)
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// push sends a policy and waits for the outcome.
func (c *cloud) push(r *router, version int64, doc string) string {
	r.t.Helper()
	return c.pushSection(r, "firewall", version, doc)
}

func (c *cloud) pushSection(r *router, section string, version int64, doc string) string {
	r.t.Helper()
	c.mu.Lock()
	before := len(c.said)
	err := c.stream.Send(&ngfwv1.CloudMessage{Id: fmt.Sprint(version), Payload: &ngfwv1.CloudMessage_ConfigPush{
		ConfigPush: &ngfwv1.ConfigPush{Section: section, Version: version, Config: []byte(doc)},
	}})
	c.mu.Unlock()
	if err != nil {
		r.t.Fatal(err)
	}
	var said string
	r.eventually(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.said) == before {
			return fmt.Errorf("no outcome of version %d yet", version)
		}
		said = c.said[before]
		return nil
	})
	return said
}

// newCloud listens in the router, and has its settings name it.
func newCloud(r *router) *cloud {
	r.t.Helper()
	c := &cloud{}
	server := grpc.NewServer()
	ngfwv1.RegisterLinkServiceServer(server, c)
	var address string
	r.In("rtr", func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			r.t.Fatal(err)
		}
		address = l.Addr().String()
		go server.Serve(l)
	})
	r.t.Cleanup(server.Stop)
	r.write(r.settings, fmt.Sprintf("%s\nserver: grpc://%s\napi_key: ngfw_dev_%s\nconfirm_within: 2s\n", r.read(r.settings), address, strings.Repeat("0", 32)))
	return c
}

// start runs the agent until it has called.
func (c *cloud) start(r *router) {
	r.t.Helper()
	r.start()
	r.eventually(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.stream == nil {
			return errors.New("the agent has not called")
		}
		return nil
	})
}

// TestChangeThatCutsTheCloudOffIsTakenBack: the router applies, hears nothing any more, and
// goes back; flows that both policies allow do not notice.
func TestChangeThatCutsTheCloudOffIsTakenBack(t *testing.T) {
	r := newRouter(t)
	c := newCloud(r)
	r.rules()
	open := r.read(r.policy)
	r.rules(`{"id":1,"name":"no web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"drop"}`)
	closed := r.read(r.policy)
	c.start(r)
	if got := c.push(r, 1, open); got != "1 applied" {
		t.Fatal(got)
	}
	r.passes("lan1", curl(web4)...)
	if got := c.push(r, 2, closed); got != "2 applied" {
		t.Fatal(got)
	}
	r.blocked("lan1", curl(web4)...)

	c.mute.Store(true)
	if got := c.push(r, 3, open); !strings.Contains(got, "3 failed: taken back: the cloud could not be reached within 2s") {
		t.Errorf("version 3: %s", got)
	}
	r.blocked("lan1", curl(web4)...)
	r.passes("lan1", curl(tls4)...)
	if now := r.mustStatus().PolicyRevision; now != 2 {
		t.Errorf("revision %d is enforced, want 2", now)
	}
	c.mute.Store(false)
	// The same again is not tried again; the next is.
	if got := c.push(r, 3, open); !strings.Contains(got, "taken back") {
		t.Error(got)
	}
	if got := c.push(r, 4, open); got != "4 applied" {
		t.Error(got)
	}
	r.passes("lan1", curl(web4)...)

	// What is not confirmed does not outlive the agent.
	c.mute.Store(true)
	c.mu.Lock()
	err := c.stream.Send(&ngfwv1.CloudMessage{Id: "5", Payload: &ngfwv1.CloudMessage_ConfigPush{
		ConfigPush: &ngfwv1.ConfigPush{Section: "firewall", Version: 5, Config: []byte(closed)},
	}})
	c.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error {
		if now := r.mustStatus().PolicyRevision; now != 5 {
			return fmt.Errorf("revision %d is enforced", now)
		}
		return nil
	})
	r.kill()
	r.start()
	r.eventually(func() error {
		if now := r.mustStatus().PolicyRevision; now != 4 {
			return fmt.Errorf("revision %d is enforced, want 4", now)
		}
		return nil
	})
	r.passes("lan1", curl(web4)...)
}

func (r *router) read(path string) string {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}
