package account

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestCreateUser(t *testing.T) {
	b := newBed(t)
	const pw = "correct horse"
	for _, tc := range []struct {
		name string
		user NewUser
		path string // of the refusal
		role Role
		org  string // "" for a new one
	}{
		{"the only organisation", NewUser{Email: "A@example.org", Password: pw}, "", Member, b.owner.Organization},
		{"by id", NewUser{Email: "b@example.org", Password: pw, Organization: b.owner.Organization, Role: "viewer"}, "", Viewer, b.owner.Organization},
		{"by name", NewUser{Email: "c@example.org", Password: pw, Organization: "default", Role: "admin"}, "", Admin, b.owner.Organization},
		{"address taken", NewUser{Email: "a@Example.org", Password: pw}, "conflict", "", ""},
		{"no address", NewUser{Email: "example.org", Password: pw}, "email", "", ""},
		{"address with a name", NewUser{Email: "A <d@example.org>", Password: pw}, "email", "", ""},
		{"short password", NewUser{Email: "d@example.org", Password: "1234567"}, "password", "", ""},
		{"unknown role", NewUser{Email: "d@example.org", Password: pw, Role: "root"}, "role", "", ""},
		{"unknown id", NewUser{Email: "d@example.org", Password: pw, Organization: "org_x"}, "not found", "", ""},
		{"new organisation", NewUser{Email: "e@example.org", Password: pw, Organization: "Other"}, "", Owner, ""},
		{"that one again", NewUser{Email: "f@example.org", Password: pw, Organization: "Other"}, "", Member, ""},
		{"now there are two", NewUser{Email: "g@example.org", Password: pw}, "org", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, err := b.CreateUser(t.Context(), tc.user)
			if tc.path != "" {
				f, ok := fault.As(err)
				if !ok || f.Field() != tc.path && !(tc.path == "conflict" && f.Code == fault.Conflict) && !(tc.path == "not found" && f.Code == fault.NotFound) {
					t.Fatalf("%+v, %v", u, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if u.Role != string(tc.role) || tc.org != "" && u.OrgID != tc.org || tc.org == "" && u.OrgID == b.owner.Organization {
				t.Errorf("%+v", u)
			}
			res, err := b.Login(t.Context(), &ngfwv1.LoginRequest{Email: tc.user.Email, Password: pw})
			if err != nil {
				t.Fatal(err)
			}
			b.mustCaller(t, res.AccessToken)
		})
	}
	orgs, err := b.store.Organizations(t.Context())
	if err != nil || len(orgs) != 2 || orgs[1].Plan != "starter" {
		t.Errorf("%+v, %v", orgs, err)
	}
}

func TestProfile(t *testing.T) {
	b := newBed(t)
	c := b.mustCaller(t, b.owner.APIToken)
	got, err := b.Profile(identity.With(t.Context(), c), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &ngfwv1.Profile{Id: c.UserID, Email: b.owner.Email, CreatedAt: b.clock.now().Unix(), OrganizationId: &b.owner.Organization, Plan: "business_plus"}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}
}

func TestOwnerIsMadeOnce(t *testing.T) {
	b := newBed(t)
	second := NewFirstOwner("second@ngfw.local")
	if made, err := b.CreateFirstOwner(t.Context(), second); made || err != nil {
		t.Error(made, err)
	}
	if _, err := b.Authenticate(t.Context(), second.APIToken); !fault.Is(err, fault.Unauthorized) {
		t.Error(err)
	}
	if orgs, _ := b.store.Organizations(t.Context()); len(orgs) != 1 {
		t.Errorf("%d organisations", len(orgs))
	}
	for _, bad := range []FirstOwner{{}, {Email: "x@y", Password: "longenough", APIToken: "ngfw_pat_00", Organization: "org_1"}, {Email: "x@y", Password: "short", APIToken: second.APIToken, Organization: "org_1"}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

func TestPlanOf(t *testing.T) {
	for in, want := range map[string]string{"starter": "starter", "pro": "pro", "business": "business", "business_plus": "business_plus",
		"free": "starter", "home": "starter", "homeplus": "starter", "": "starter", "gold": "starter"} {
		if got := PlanOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestOperator(t *testing.T) {
	b := newBed(t)
	for _, key := range []string{"", "default", b.owner.Organization} {
		c, err := b.Operator(t.Context(), key)
		if err != nil || c.OrgID != b.owner.Organization || c.Plan != "business_plus" || !c.Allows(identity.Admin) {
			t.Errorf("%q: %+v, %v", key, c, err)
		}
	}
	for _, key := range []string{"Nobody", "org_x"} {
		if c, err := b.Operator(t.Context(), key); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q: %+v, %v", key, c, err)
		}
	}
}
