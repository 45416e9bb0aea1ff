package linktest

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"ngfw.sh/cloud/devicelink"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func deviceOf(id string) devicelink.Device {
	return devicelink.Device{ID: id, OrgID: "org1", Plan: "pro"}
}

// revokedOnTheWay answers the first question with yes and is revoked then, with
// a Disconnect that finds nobody.
type revokedOnTheWay struct {
	*cloud
	link *devicelink.Server
}

func (r *revokedOnTheWay) AuthenticateDevice(ctx context.Context, key string) (devicelink.Device, error) {
	d, err := r.cloud.AuthenticateDevice(ctx, key)
	if err == nil {
		r.with(func() { delete(r.keys, key) })
		r.link.Disconnect(d.ID)
	}
	return d, err
}

type served struct {
	address string
	link    *devicelink.Server
}

func serveWith(t *testing.T, c *cloud, devices *revokedOnTheWay) served {
	t.Helper()
	server, err := devicelink.New(c.cfg, devicelink.Deps{Devices: devices, Reports: reports{c}, Documents: c, Ingest: ingest{c}})
	if err != nil {
		t.Fatal(err)
	}
	devices.link = server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&c.authority.cert)))
	ngfwv1.RegisterLinkServiceServer(g, server)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return served{address: l.Addr().String(), link: server}
}
