package domaintest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func (p *process) addGroup(t testing.TB, device, name, kind string, members ...string) *ngfwv1.Group {
	t.Helper()
	g, err := p.firewall.CreateGroup(as("a"), &ngfwv1.CreateGroupRequest{DeviceId: device, Group: &ngfwv1.Group{Name: name, Type: kind, Members: members}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGroups(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	servers := p.addGroup(t, device, "servers", "address", "192.168.1.2", "2001:db8::/64")
	p.addGroup(t, device, "all", "address", "@servers", "10.0.0.1-10.0.0.9")
	p.addGroup(t, device, "web", "port", "80", "8000-8080")
	p.addGroup(t, device, "empty", "mac")
	r := rule("in", "WAN", "LAN", "accept")
	r.Destination, r.Protocol, r.Port = proto.String("!@all"), proto.String("tcp"), proto.String("443,@web")
	used := p.addRule(t, device, r)

	// Members change, and with them what the router enforces.
	servers.Members = []string{"192.168.1.3"}
	changed, err := p.firewall.UpdateGroup(as("a"), &ngfwv1.UpdateGroupRequest{DeviceId: device, Id: servers.Id, Group: servers})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(servers, changed, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	list, err := p.firewall.ListGroups(as("a"), &ngfwv1.ListGroupsRequest{DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	want := []*ngfwv1.Group{
		servers, {Id: 2, Name: "all", Type: "address", Members: []string{"@servers", "10.0.0.1-10.0.0.9"}},
		{Id: 3, Name: "web", Type: "port", Members: []string{"80", "8000-8080"}}, {Id: 4, Name: "empty", Type: "mac"},
	}
	if diff := cmp.Diff(want, list.Groups, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if _, doc := p.document(t, device); len(doc.Groups) != 4 || doc.Groups[0].Members[0] != "192.168.1.3" {
		t.Errorf("%+v", doc.Groups)
	}

	version, pushes := p.version(t, device), p.links.pushes(device)
	create := func(g *ngfwv1.Group) func() error {
		return func() error {
			_, err := p.firewall.CreateGroup(as("a"), &ngfwv1.CreateGroupRequest{DeviceId: device, Group: g})
			return err
		}
	}
	update := func(id int64, g *ngfwv1.Group) func() error {
		return func() error {
			_, err := p.firewall.UpdateGroup(as("a"), &ngfwv1.UpdateGroupRequest{DeviceId: device, Id: id, Group: g})
			return err
		}
	}
	remove := func(id int64) func() error {
		return func() error {
			_, err := p.firewall.DeleteGroup(as("a"), &ngfwv1.DeleteGroupRequest{DeviceId: device, Id: id})
			return err
		}
	}
	for _, c := range []struct {
		name  string
		write func() error
		code  fault.Code
		field string
	}{
		{"nothing", create(nil), fault.InvalidConfig, "name"},
		{"no type", create(&ngfwv1.Group{Name: "x"}), fault.InvalidConfig, "type"},
		{"unknown type", create(&ngfwv1.Group{Name: "x", Type: "zone"}), fault.InvalidConfig, "type"},
		{"a name that is none", create(&ngfwv1.Group{Name: "a b", Type: "port"}), fault.InvalidConfig, "name"},
		{"a member that is none", create(&ngfwv1.Group{Name: "x", Type: "address", Members: []string{"10.0.0.1", "10.0.0.0/33"}}), fault.InvalidConfig, "members[1]"},
		{"a member of another type", create(&ngfwv1.Group{Name: "x", Type: "address", Members: []string{"@web"}}), fault.InvalidConfig, "members[0]"},
		{"a name that is taken", create(&ngfwv1.Group{Name: "web", Type: "address"}), fault.Conflict, "name"},
		{"renamed to one that is taken", update(4, &ngfwv1.Group{Name: "web", Type: "mac"}), fault.Conflict, "name"},
		{"renamed while a rule names it", update(2, &ngfwv1.Group{Name: "every", Type: "address"}), fault.Conflict, "name"},
		{"renamed while a group names it", update(1, &ngfwv1.Group{Name: "server", Type: "address"}), fault.Conflict, "name"},
		{"another type while named", update(3, &ngfwv1.Group{Name: "web", Type: "address"}), fault.Conflict, "type"},
		{"itself as member", update(1, &ngfwv1.Group{Name: "servers", Type: "address", Members: []string{"@servers"}}), fault.InvalidConfig, "members[0]"},
		{"in a circle", update(1, &ngfwv1.Group{Name: "servers", Type: "address", Members: []string{"@all"}}), fault.InvalidConfig, ""},
		{"not there", update(9, &ngfwv1.Group{Name: "x", Type: "mac"}), fault.NotFound, ""},
		{"removed while a rule names it", remove(3), fault.Conflict, ""},
		{"removed while a group names it", remove(1), fault.Conflict, ""},
		{"none removed", remove(9), fault.NotFound, ""},
		{"a country that is none", update(1, &ngfwv1.Group{Name: "servers", Type: "address", Members: []string{"geo:DEU"}}), fault.InvalidConfig, "members[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, ok := fault.As(c.write())
			if !ok || f.Code != c.code || c.field != "" && f.Field() != c.field {
				t.Errorf("got %+v, want %s at %q", f, c.code, c.field)
			}
		})
	}
	if v, n := p.version(t, device), p.links.pushes(device); v != version || n != pushes {
		t.Errorf("version %d → %d, pushes %d → %d", version, v, pushes, n)
	}

	// What is named by nothing any more may go, and may be renamed; ids are not used again.
	if _, err := p.firewall.DeleteRule(as("a"), &ngfwv1.DeleteRuleRequest{DeviceId: device, Id: used.Id}); err != nil {
		t.Fatal(err)
	}
	for _, write := range []func() error{remove(2), remove(1), update(3, &ngfwv1.Group{Name: "ports", Type: "port", Members: []string{"1"}}), remove(3)} {
		if err := write(); err != nil {
			t.Error(err)
		}
	}
	if g := p.addGroup(t, device, "servers", "address"); g.Id != 5 {
		t.Errorf("id %d", g.Id)
	}
}
