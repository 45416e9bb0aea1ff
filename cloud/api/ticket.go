package api

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"ngfw.sh/cloud/api/ticket"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	ticketLifetime = time.Minute
	maxTickets     = 1 << 14
)

// tickets is the one service that the API itself serves: it alone knows the
// token that a call came with.
type tickets struct {
	ngfwv1.UnimplementedStreamServiceServer
	store *ticket.Store
}

func (t tickets) service() Service {
	return Service{
		Register: func(r grpc.ServiceRegistrar) { ngfwv1.RegisterStreamServiceServer(r, t) },
		Gateway:  ngfwv1.RegisterStreamServiceHandler,
	}
}

// Ticket issues a ticket for the caller's token.
func (t tickets) Ticket(ctx context.Context, _ *ngfwv1.StreamTicketRequest) (*ngfwv1.StreamTicket, error) {
	token, _ := ctx.Value(tokenKey{}).(string)
	if token == "" {
		return nil, fault.New(fault.Unauthorized, "a token is needed")
	}
	return &ngfwv1.StreamTicket{Ticket: t.store.Issue(token), ExpiresIn: int64(t.store.Lifetime().Seconds())}, nil
}

type tokenKey struct{}

// withToken puts the token that a call came with into its context.
func withToken(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, tokenKey{}, token)
}

// takeTicket takes ticket out of the parameters of a stream and its token into
// the inward. One that is not good leaves the call without a token, which the
// chain refuses and counts.
func (in *inward) takeTicket(params []parameter, store *ticket.Store) ([]parameter, *fault.Error) {
	var rest []parameter
	for _, p := range params {
		if p.name != "ticket" {
			rest = append(rest, p)
			continue
		}
		if in.Authorization != "" {
			return nil, badParameter("ticket", "the token comes by Authorization or by a ticket, not by both")
		}
		if token, ok := store.Redeem(p.value); ok {
			in.Authorization = "Bearer " + token
		}
	}
	return rest, nil
}
