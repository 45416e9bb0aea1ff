package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"ngfw.sh/lab"
)

// zone is what inet's name server is authoritative for; it refuses the rest.
const zone = "lab.test"

// records are the zone's names. big does not fit a UDP answer, so a client
// comes back over TCP.
func records() map[string][]dns.RR {
	all := map[string][]dns.RR{}
	add := func(name string, body string) {
		name = dns.Fqdn(strings.TrimPrefix(name+"."+zone, "."))
		rr, err := dns.NewRR(fmt.Sprintf("%s 60 IN %s", name, body))
		if err != nil {
			panic(err) // constant input
		}
		all[name] = append(all[name], rr)
	}
	address := func(name string, addrs ...netip.Addr) {
		for _, a := range addrs {
			if a.Is4() {
				add(name, "A "+a.String())
			} else {
				add(name, "AAAA "+a.String())
			}
		}
	}
	add("", "SOA ns."+zone+". admin."+zone+". 1 3600 600 86400 60")
	add("", "NS ns."+zone+".")
	address("ns", lab.IP4(lab.INET), lab.IP6(lab.INET))
	address("web", lab.IP4(lab.INET), lab.IP6(lab.INET))
	address("cdn", lab.Far...)
	address("video", lab.Far[1], lab.Far[4])
	address("updates", lab.Far[2], lab.Far[5])
	add("www", "CNAME web."+zone+".")
	add("", "MX 10 mail."+zone+".")
	address("mail", lab.Far[0], lab.Far[3])
	for range 12 {
		add("big", "TXT \""+strings.Repeat("x", 200)+fmt.Sprint(len(all[dns.Fqdn("big."+zone)]))+"\"")
	}
	return all
}

type zoneHandler map[string][]dns.RR

func (z zoneHandler) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(q)
	defer func() { w.WriteMsg(answer) }()
	if len(q.Question) != 1 {
		answer.Rcode = dns.RcodeFormatError
		return
	}
	asked := q.Question[0]
	name := strings.ToLower(asked.Name)
	if !dns.IsSubDomain(dns.Fqdn(zone), name) {
		answer.Rcode = dns.RcodeRefused
		return
	}
	answer.Authoritative = true
	for range 2 { // the name, then what a CNAME leads to
		for _, rr := range z[name] {
			if rr.Header().Rrtype == asked.Qtype || rr.Header().Rrtype == dns.TypeCNAME || asked.Qtype == dns.TypeANY {
				answer.Answer = append(answer.Answer, rr)
			}
		}
		alias, ok := first(z[name]).(*dns.CNAME)
		if !ok || asked.Qtype == dns.TypeCNAME {
			break
		}
		name = alias.Target
	}
	if len(answer.Answer) == 0 {
		answer.Ns = z[dns.Fqdn(zone)][:1]
		if z[name] == nil {
			answer.Rcode = dns.RcodeNameError
		}
	}
	if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
			answer.SetEdns0(1232, false)
		}
		answer.Truncate(min(size, 1232))
	}
}

func first(rrs []dns.RR) dns.RR {
	if len(rrs) == 0 {
		return nil
	}
	return rrs[0]
}

func serveDNS(ctx context.Context, group *errgroup.Group, socks sockets) {
	handler := zoneHandler(records())
	servers := []*dns.Server{{Listener: socks.dnsTCP, Handler: handler}}
	for _, pc := range socks.dnsUDP {
		servers = append(servers, &dns.Server{PacketConn: pc, Handler: handler})
	}
	for _, srv := range servers {
		group.Go(func() error {
			err := srv.ActivateAndServe()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("serve dns: %w", err)
		})
		group.Go(func() error {
			<-ctx.Done()
			// Closing the socket ends ActivateAndServe, also when it has not begun.
			if srv.Listener != nil {
				srv.Listener.Close()
			} else {
				srv.PacketConn.Close()
			}
			return nil
		})
	}
}
